import { describe, expect, it } from "vitest";

import { authorizationParameters, returnPlace } from "./authorization-parameters";

describe("authorizationParameters", () => {
  it("takes what the server knows and leaves the rest", () => {
    expect(authorizationParameters("?client_id=app_1&state=a%20b%26c&scope=openid+content%3Aread&ui_locales=de&nonce=")).toEqual({
      client_id: "app_1",
      state: "a b&c",
      scope: "openid content:read",
      nonce: "",
    });
    expect(authorizationParameters("")).toEqual({});
  });

  it("refuses a parameter that is there twice", () => {
    expect(authorizationParameters("?redirect_uri=https://a.example&redirect_uri=https://evil.example")).toBeNull();
    expect(authorizationParameters("?ui_locales=de&ui_locales=en")).toEqual({});
  });
});

describe("returnPlace", () => {
  it("names the host, or what kind of program it is", () => {
    expect(returnPlace("https://app.example:8443/callback?x=1")).toBe("app.example");
    expect(returnPlace("http://127.0.0.1:51004/callback")).toBe("a program on this machine");
    expect(returnPlace("com.example.app:/callback")).toBe("a program on this device");
    expect(returnPlace("nonsense")).toBe("the application");
    expect(returnPlace(null)).toBe("the application");
  });
});
