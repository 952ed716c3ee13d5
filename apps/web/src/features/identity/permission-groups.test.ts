import type { Permission, RoleDetails } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { groupPermissions, meaningOf, permissionsOfRoles, toggled } from "./permission-groups";

const some: Permission[] = ["collections:read", "collections:write", "models:invoke", "users:read"];

function role(permissions: Permission[]): RoleDetails {
  return { id: "x", name: "X", description: "", built_in: false, permissions, user_count: 0, api_key_count: 0, created_at: null, updated_at: null };
}

describe("groupPermissions", () => {
  it("puts the permissions of one kind together, in their order", () => {
    const groups = groupPermissions([...some, "collections:read"]);
    expect(groups.map((group) => group.label)).toEqual(["Collections", "Models", "Users"]);
    expect(groups[0]?.permissions).toEqual(["collections:read", "collections:write"]);
  });

  it("shows kinds that it does not know by their own word", () => {
    expect(groupPermissions(["space_ships:launch" as Permission])[0]?.label).toBe("space ships");
  });
});

describe("meaningOf", () => {
  it("says the verb, and more where that is too little", () => {
    expect(meaningOf("users:read")).toBe("see");
    expect(meaningOf("models:invoke")).toBe("call them: chat, ask, drafts");
    expect(meaningOf("rockets:launch_all" as Permission)).toBe("launch all");
  });
});

describe("permissionsOfRoles", () => {
  it("names each once", () => {
    expect(permissionsOfRoles([role(["users:read", "models:invoke"]), role(["models:invoke", "search:query"])])).toEqual(["users:read", "models:invoke", "search:query"]);
  });
});

describe("toggled", () => {
  it("adds and takes away, and keeps the order and what is not offered out", () => {
    expect(toggled(some, ["users:read"], ["collections:read"], true)).toEqual(["collections:read", "users:read"]);
    expect(toggled(some, some, ["collections:read", "collections:write"], false)).toEqual(["models:invoke", "users:read"]);
    expect(toggled(some, ["jobs:read"], [], true)).toEqual([]);
  });
});
