import type { LoginMethod } from "@plasma/client/types";

export const METHODS: Record<LoginMethod, string> = {
  password: "Password",
  totp: "Authenticator",
  recovery_code: "Recovery code",
  passkey: "Passkey",
  magic_link: "Link by mail",
  single_sign_on: "Single sign-on",
};

/** "Password and authenticator" */
export function methodNames(methods: readonly LoginMethod[]): string {
  const names = methods.map((method, index) => (index === 0 ? METHODS[method] : METHODS[method].toLowerCase()));
  return names.length < 2 ? (names[0] ?? "—") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
