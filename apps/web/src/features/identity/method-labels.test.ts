import { expect, it } from "vitest";

import { methodNames } from "./method-labels";

it("says with what somebody signed in", () => {
  expect(methodNames([])).toBe("—");
  expect(methodNames(["passkey"])).toBe("Passkey");
  expect(methodNames(["password", "totp"])).toBe("Password and authenticator");
  expect(methodNames(["password", "totp", "passkey"])).toBe("Password, authenticator and passkey");
});
