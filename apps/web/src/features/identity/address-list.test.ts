import { describe, expect, it } from "vitest";

import { addressAt, addressesOf } from "./address-list";

describe("addressesOf", () => {
  it("reads lines, commas and spaces alike", () => {
    expect(addressesOf(" 192.0.2.1\n10.0.0.0/8, 2001:db8::/32;\n\n")).toEqual(["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"]);
    expect(addressesOf(" \n ")).toEqual([]);
  });
});

describe("addressAt", () => {
  it("finds the one that the server names", () => {
    expect(addressAt("addresses[1]", ["10.0.0.1", "the-office"])).toBe("the-office");
    expect(addressAt("addresses[9]", ["10.0.0.1"])).toBeNull();
    expect(addressAt("name", ["10.0.0.1"])).toBeNull();
    expect(addressAt(undefined, [])).toBeNull();
  });
});
