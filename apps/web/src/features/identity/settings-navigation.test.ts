import { describe, expect, it } from "vitest";

import { currentSetting, SETTINGS, visibleSettings } from "./settings-navigation";

describe("visibleSettings", () => {
  it("shows everybody their own pages and the workspace, and nothing else", () => {
    expect(visibleSettings([]).map((group) => group.label)).toEqual(["You", "Workspace"]);
  });

  it("adds what a permission opens, without empty groups", () => {
    const groups = visibleSettings(["users:read", "installation:manage"]);
    expect(groups.map((group) => group.label)).toEqual(["You", "People", "Workspace", "Installation"]);
    expect(groups.at(-1)?.items.map((item) => item.href)).toEqual(["/settings/tenants/"]);
  });
});

describe("currentSetting", () => {
  it("takes the longest page that fits, with and without the last slash", () => {
    expect(currentSetting("/settings/")?.label).toBe("Profile");
    expect(currentSetting("/settings")?.label).toBe("Profile");
    expect(currentSetting("/settings/users/")?.label).toBe("Users and invitations");
    expect(currentSetting("/settings/users")?.label).toBe("Users and invitations");
    expect(currentSetting("/knowledge/")).toBeNull();
  });
});

it("names each page once", () => {
  const addresses = SETTINGS.flatMap((group) => group.items).map((item) => item.href);
  expect(new Set(addresses).size).toBe(addresses.length);
});
