import { expect, it } from "vitest";

import { deviceName } from "./device-name";

it("names the device on which a passkey is made", () => {
  expect(deviceName("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)")).toBe("iPhone");
  expect(deviceName("Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0.0.0")).toBe("Linux PC");
  expect(deviceName("Mozilla/5.0 (Linux; Android 15)")).toBe("Android device");
  expect(deviceName("")).toBe("My device");
});
