export const budgetKeys = { all: ["budgets"] as const };
