export const loginSessionKeys = { all: ["login-sessions"] as const, mine: ["login-sessions", "mine"] as const, everybodys: ["login-sessions", "everybodys"] as const };
