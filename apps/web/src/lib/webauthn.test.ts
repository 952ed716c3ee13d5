import { describe, expect, it } from "vitest";

import { isAddress, passkeyProblem } from "./webauthn";

describe("passkeys", () => {
  it("know addresses from names", () => {
    expect(["127.0.0.1", "[::1]", "::1", "10.0.0.7"].every(isAddress)).toBe(true);
    expect(["localhost", "plasma.example.com", "1password.example"].some(isAddress)).toBe(false);
  });

  it("say nothing when the person only went on", () => {
    expect(passkeyProblem(new DOMException("", "AbortError"))).toBeNull();
    expect(passkeyProblem(new Error("the server's own"))).toBeNull();
    expect(passkeyProblem(new DOMException("", "NotAllowedError"))).toMatch(/cancelled/);
    expect(passkeyProblem(new DOMException("", "InvalidStateError"))).toMatch(/already/);
  });
});
