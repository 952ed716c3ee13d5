import type { AuthorizationParameters } from "@plasma/client/types";

const NAMES = [
  "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method", "nonce", "prompt", "max_age", "request",
  "request_uri", "response_mode",
] as const satisfies readonly (keyof AuthorizationParameters)[];

/**
 * The parameters of an authorization request in the page's address, or null when one is there twice: two readers could each take
 * another one. What the server does not know is left out, as the specification asks for.
 */
export function authorizationParameters(search: string): AuthorizationParameters | null {
  const given = new URLSearchParams(search);
  const parameters: AuthorizationParameters = {};
  for (const name of NAMES) {
    const values = given.getAll(name);
    if (values.length > 1) return null;
    if (values[0] !== undefined) parameters[name] = values[0];
  }
  return parameters;
}

/** Where the browser goes afterwards, for a person: a host, this machine, or a program. */
export function returnPlace(redirectUri: string | null | undefined): string {
  if (!redirectUri || !URL.canParse(redirectUri)) return "the application";
  const { protocol, hostname } = new URL(redirectUri);
  if (protocol === "https:") return hostname;
  return protocol === "http:" ? "a program on this machine" : "a program on this device";
}
