import type { Connection } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { bodyOf, emptyForm, formOf, PRESETS, providerOf, splitDomains } from "./connection-presets";

const CONNECTION: Connection = {
  id: "conn_00000000000000000000000001",
  name: "Acme login",
  preset: "okta",
  account: "acme.okta.com",
  issuer: "https://acme.okta.com",
  client_id: "plasma",
  has_client_secret: true,
  scopes: ["openid", "email"],
  email_verified_claim: "email_verified",
  required_claims: [],
  domains: [{ domain: "acme.example", state: "verified", verified_at: 1, verified_by: "operator" }],
  rules: [],
  default_role: null,
  creates_users: false,
  enabled: true,
  redirect_uri: "https://plasma.example/api/v1/auth/sso/callback",
  login_url: "https://plasma.example/api/v1/auth/sso/conn_00000000000000000000000001/start",
  backchannel_logout_uri: "https://plasma.example/api/v1/auth/sso/conn_00000000000000000000000001/backchannel-logout",
  post_logout_redirect_uri: "https://plasma.example/login/",
  created_at: 1,
  updated_at: 1,
  last_login_at: null,
};

describe("the form of a connection", () => {
  it("splits domains however they are typed", () => {
    expect(splitDomains(" Example.com, @b.example\nc.example;example.com ")).toEqual(["example.com", "b.example", "c.example"]);
    expect(splitDomains("  ")).toEqual([]);
  });

  it("sends no secret that was not typed, and none of the provider that did not change", () => {
    const form = formOf(CONNECTION);
    expect(bodyOf(form)).toEqual({
      name: "Acme login", client_id: "plasma", domains: ["acme.example"], scopes: ["openid", "email"], default_role: null, creates_users: false,
    });
    expect(providerOf(form, CONNECTION)).toEqual({});
    expect(providerOf({ ...form, account: "other.okta.com" }, CONNECTION)).toEqual({ account: "other.okta.com" });
  });

  it("asks for an issuer only where no preset knows it", () => {
    const custom = { ...emptyForm("custom"), issuer: " https://id.example/ ", account: "x" };
    expect(providerOf(custom, null)).toEqual({ issuer: "https://id.example/" });
    expect(providerOf({ ...emptyForm("auth0"), account: "a.auth0.com" }, null)).toEqual({ account: "a.auth0.com" });
    expect(PRESETS.filter((preset) => preset.account === null).map((preset) => preset.value)).toEqual(["custom"]);
  });
});
