// The running server, applications for the tests, and the person who decides.
import * as client from "openid-client";

export const settings = {
  url: required("PLASMA_URL").replace(/\/$/, ""),
  email: required("PLASMA_EMAIL"),
  password: required("PLASMA_PASSWORD"),
  key: required("PLASMA_API_KEY"),
};

export const CALLBACK = "https://app.example/callback";

function required(name) {
  const value = process.env[name];
  if (value) return value;
  console.error(`${name} is not set. These tests ask a running server: set PLASMA_URL, PLASMA_EMAIL, PLASMA_PASSWORD and PLASMA_API_KEY.`);
  process.exit(2);
}

/** Asks the API; a success is returned, anything else is an error with its answer. */
export async function ask(method, path, { body, token = settings.key } = {}) {
  const response = await fetch(settings.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  return text === "" ? null : JSON.parse(text);
}

/** Posts a form as no library would. */
export async function postForm(path, fields, headers = {}) {
  const response = await fetch(settings.url + path, { method: "POST", headers, body: new URLSearchParams(fields) });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

export async function signIn() {
  const session = await ask("POST", "/api/v1/auth/login", { body: { email: settings.email, password: settings.password } });
  return session.token;
}

const registered = [];

export async function register(fields = {}) {
  const application = await ask("POST", "/api/v1/applications", {
    body: { name: "openid-client", kind: "confidential", redirect_uris: [CALLBACK], scopes: ["content:read", "search:query"], device: true, ...fields },
  });
  registered.push(application.id);
  return application;
}

/** Deletes what the tests registered. */
export async function unregister() {
  for (const id of registered.splice(0)) await ask("DELETE", `/api/v1/applications/${id}`);
}

/** The client of an application. The server speaks plain HTTP here; ID tokens are checked by its keys all the same. */
export function configure(application, authentication) {
  return client.discovery(new URL(settings.url), application.id, application.client_secret ?? undefined, authentication, {
    execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
  });
}

/** Sends the person to the authorization page, and returns the address to which they come back. */
export async function decide(session, url, allow = true) {
  const shown = await fetch(`${settings.url}/api/v1/oauth/authorization-requests${url.search}`, { headers: { authorization: `Bearer ${session}` } });
  const request = await shown.json();
  if (!shown.ok) throw new Error(`the page shows ${JSON.stringify(request)}`);
  if (request.action === "redirect") return new URL(request.redirect_to);
  const body = { request: Object.fromEntries(url.searchParams), allow };
  const decided = await ask("POST", "/api/v1/oauth/authorization-requests", { body, token: session });
  return new URL(decided.redirect_to);
}

/** Begins an authorization: its address, and what the client has to remember. */
export async function begin(config, scope, parameters = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const checks = { pkceCodeVerifier: verifier, expectedState: client.randomState(), expectedNonce: client.randomNonce() };
  const openId = scope.split(" ").includes("openid");
  if (!openId) delete checks.expectedNonce;
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope,
    state: checks.expectedState,
    ...(openId && { nonce: checks.expectedNonce }),
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    ...parameters,
  });
  return { url, checks };
}

/** A whole authorization. */
export async function authorize(config, session, scope, parameters) {
  const { url, checks } = await begin(config, scope, parameters);
  const back = await decide(session, url);
  return { tokens: await client.authorizationCodeGrant(config, back, checks), back, checks };
}

/** OAuth's name of the error with which something fails. */
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error.error ?? error.cause?.error ?? error.code ?? error.message;
  }
  throw new Error("this must be refused");
}
