export const teamKeys = {
  all: ["teams"] as const,
  list: ["teams", "list"] as const,
  choices: ["teams", "choices"] as const,
  members: (id: string) => ["teams", "members", id] as const,
};
