import type { KeyRotation, MasterKey } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { isRunning, keysToRewrap, placeLabel, rotateReason, rotationState, rotationText } from "./encryption-labels";

const rotation = (state: KeyRotation["state"]): KeyRotation => ({ version: 2, state, started_at: 0, done: 5, total: 12, unreadable: 0, finished_at: null, error: null });
const key = (current: boolean, data_keys: number): MasterKey => ({ place: "file", key: "ab", current, data_keys });

describe("rotations", () => {
  it("say how far they are", () => {
    expect(rotationText(rotation("resealing"))).toBe("5 of 12 values sealed with key 2");
    expect(rotationText(rotation("destroying"))).toContain("destroyed in a moment");
    expect(rotationText(rotation("done"))).toBe("12 values sealed with key 2; the old key is destroyed");
    expect(rotationText(rotation("stuck"))).toContain("still needed");
    expect(rotationText({ ...rotation("done"), total: 1 })).toContain("1 value sealed");
  });

  it("are waited for while they go on by themselves", () => {
    expect((["resealing", "destroying", "done", "stuck"] as const).map((state) => isRunning(rotation(state)))).toEqual([true, true, false, false]);
    expect(isRunning(undefined)).toBe(false);
    expect(rotateReason(rotation("resealing"))).not.toBeNull();
    expect(rotateReason(rotation("stuck"))).toBeNull();
    expect(rotationState(rotation("stuck")).tone).toBe("bad");
  });
});

describe("master keys", () => {
  it("are counted by what is left to move", () => {
    expect(keysToRewrap([key(true, 7), key(false, 2), key(false, 3)])).toBe(5);
    expect(keysToRewrap([key(true, 7)])).toBe(0);
  });

  it("are somewhere", () => {
    expect([placeLabel("file"), placeLabel("vault")]).toEqual(["in the server's key file", "in Vault"]);
  });
});
