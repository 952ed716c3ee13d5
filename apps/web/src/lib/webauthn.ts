import { fromBase64Url, toBase64Url } from "./base64url";

/** JSON of WebAuthn's options and answers; the server checks it. */
export type WebAuthnJson = Record<string, unknown>;

interface Descriptor { id: string; type: "public-key"; transports?: AuthenticatorTransport[] }

/** Browsers bind passkeys to the name of a host, over HTTPS or on this very machine; an IP address is no name. */
export function passkeysWork(): boolean {
  return typeof window !== "undefined" && window.isSecureContext && "PublicKeyCredential" in window && !isAddress(location.hostname);
}

export function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(":") || host.startsWith("[");
}

/** Whether the browser can offer passkeys inside of a text field. */
export async function canFillInPasskeys(): Promise<boolean> {
  if (!passkeysWork() || typeof PublicKeyCredential.isConditionalMediationAvailable !== "function") return false;
  return PublicKeyCredential.isConditionalMediationAvailable().catch(() => false);
}

/** Makes a passkey; answers as `PublicKeyCredential.toJSON()` would, which not every browser has. */
export async function createPasskey(options: WebAuthnJson): Promise<WebAuthnJson> {
  const user = options["user"] as { id: string; name: string; displayName: string };
  const publicKey = {
    ...options,
    challenge: fromBase64Url(String(options["challenge"])),
    user: { ...user, id: fromBase64Url(user.id) },
    excludeCredentials: descriptors(options["excludeCredentials"]),
  } as unknown as PublicKeyCredentialCreationOptions;
  const credential = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential | null;
  if (!credential) throw new DOMException("no credential", "NotAllowedError");
  const response = credential.response as AuthenticatorAttestationResponse;
  return {
    ...named(credential),
    response: {
      attestationObject: toBase64Url(response.attestationObject),
      clientDataJSON: toBase64Url(response.clientDataJSON),
      transports: response.getTransports?.() ?? [],
    },
  };
}

/** Asks for a passkey. With `conditional` the browser offers it in the field that says `webauthn`, and waits. */
export async function getPasskey(options: WebAuthnJson, { conditional, signal }: { conditional?: boolean; signal?: AbortSignal } = {}): Promise<WebAuthnJson> {
  const publicKey = {
    ...options,
    challenge: fromBase64Url(String(options["challenge"])),
    allowCredentials: descriptors(options["allowCredentials"]),
  } as unknown as PublicKeyCredentialRequestOptions;
  const request: CredentialRequestOptions = { publicKey, ...(signal && { signal }), ...(conditional && { mediation: "conditional" }) };
  const credential = (await navigator.credentials.get(request)) as PublicKeyCredential | null;
  if (!credential) throw new DOMException("no credential", "NotAllowedError");
  const response = credential.response as AuthenticatorAssertionResponse;
  return {
    ...named(credential),
    response: {
      authenticatorData: toBase64Url(response.authenticatorData),
      clientDataJSON: toBase64Url(response.clientDataJSON),
      signature: toBase64Url(response.signature),
      userHandle: response.userHandle ? toBase64Url(response.userHandle) : null,
    },
  };
}

/** What went wrong between the browser and the authenticator, for a person; null when they changed their mind on this page. */
export function passkeyProblem(error: unknown): string | null {
  if (!(error instanceof DOMException)) return null;
  switch (error.name) {
    case "AbortError":
      return null;
    case "InvalidStateError":
      return "This device has a passkey for you already.";
    case "SecurityError":
      return "This address cannot have passkeys. Open the dashboard under the name that it is set up for.";
    case "NotSupportedError":
      return "This device cannot make passkeys of the kind that is needed.";
    default:
      return "No passkey was used: it took too long, or was cancelled.";
  }
}

function named(credential: PublicKeyCredential): WebAuthnJson {
  const id = toBase64Url(credential.rawId);
  return { id, rawId: id, type: credential.type, clientExtensionResults: credential.getClientExtensionResults() };
}

function descriptors(value: unknown): PublicKeyCredentialDescriptor[] {
  if (!Array.isArray(value)) return [];
  return (value as Descriptor[]).map((descriptor) => ({ ...descriptor, id: fromBase64Url(descriptor.id) }));
}
