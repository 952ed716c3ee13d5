import { describe, expect, it } from "vitest";

import { isWhole, userCode } from "./user-code";

describe("userCode", () => {
  it("brings what was typed into the form that devices show", () => {
    expect(userCode("bcdf ghjk")).toBe("BCDF-GHJK");
    expect(userCode("BCDF-GHJK")).toBe("BCDF-GHJK");
    expect(userCode("BCDFGHJKMNP")).toBe("BCDF-GHJK");
    expect(userCode("bcd")).toBe("BCD");
    expect(userCode("bcdf-")).toBe("BCDF");
    expect(userCode("bcdfg")).toBe("BCDF-G");
    expect(userCode("a1e_<script>")).toBe("SCRPT".slice(0, 4) + "-T");
    expect(userCode("")).toBe("");
  });

  it("knows when a code is whole", () => {
    expect(isWhole(userCode("bcdfghjk"))).toBe(true);
    expect(isWhole(userCode("bcdfghj"))).toBe(false);
    expect(isWhole("")).toBe(false);
  });
});
