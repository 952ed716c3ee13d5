import type { Connection, ConnectionPreset, NewConnection } from "@plasma/client/types";

export interface Preset {
  value: ConnectionPreset;
  label: string;
  /** What names the organization there; null where an issuer is asked for. */
  account: { label: string; placeholder: string; hint: string } | null;
  /** Where the client id and the secret come from. */
  steps: string[];
}

export const PRESETS: Preset[] = [
  {
    value: "google_workspace",
    label: "Google Workspace",
    account: { label: "Primary domain", placeholder: "example.com", hint: "Only accounts of this organization get in." },
    steps: [
      "In the Google Cloud console, under APIs & Services, Credentials, create an OAuth client ID for a web application.",
      "Enter the redirect URI from above as an authorized redirect URI.",
      "Copy the client ID and the client secret.",
    ],
  },
  {
    value: "entra_id",
    label: "Microsoft Entra ID",
    account: { label: "Directory (tenant) ID", placeholder: "72f988bf-86f1-41af-91ab-2d7cd011db47", hint: "On the overview page of the application’s registration." },
    steps: [
      "In the Entra admin center, register an application for this organizational directory only, with the redirect URI from above (platform: Web).",
      "Under Certificates & secrets, make a client secret and copy its value.",
      "Under Token configuration, add the optional claims email and xms_edov to the ID token: the second says that an e-mail is verified.",
    ],
  },
  {
    value: "okta",
    label: "Okta",
    account: { label: "Okta host", placeholder: "example.okta.com", hint: "With /oauth2/NAME behind it for another authorization server." },
    steps: [
      "In the Okta admin console, create an app integration: OIDC, web application, with the redirect URI from above.",
      "Assign the people or groups who may sign in.",
      "Copy the client ID and the client secret. For rules by group, add a groups claim and the scope groups.",
    ],
  },
  {
    value: "auth0",
    label: "Auth0",
    account: { label: "Auth0 domain", placeholder: "example.eu.auth0.com", hint: "As the application’s settings name it." },
    steps: [
      "In the Auth0 dashboard, create a regular web application and add the redirect URI from above to its allowed callback URLs.",
      "Copy the client ID and the client secret.",
      "For rules by role, add the roles to the ID token with an action, under a name such as https://example.com/roles.",
    ],
  },
  {
    value: "custom",
    label: "Another OpenID provider",
    account: null,
    steps: [
      "Register Plasma as a confidential client with the authorization code flow and the redirect URI from above.",
      "Let it sign ID tokens with RS256, PS256, ES256 or EdDSA.",
      "Copy the client ID and the client secret.",
    ],
  },
];

export function presetOf(value: ConnectionPreset): Preset {
  return PRESETS.find((preset) => preset.value === value) ?? { value, label: value, account: null, steps: [] };
}

export function presetLabel(value: ConnectionPreset): string {
  return presetOf(value).label;
}

/** Domains as a person types them: separated by commas, spaces or lines. */
export function splitDomains(text: string): string[] {
  return [...new Set(text.split(/[\s,;]+/).map((domain) => domain.trim().toLowerCase().replace(/^@/, "")).filter(Boolean))];
}

export interface ConnectionForm {
  preset: ConnectionPreset;
  name: string;
  account: string;
  issuer: string;
  clientId: string;
  clientSecret: string;
  domains: string;
  scopes: string;
  defaultRole: string;
  createsUsers: boolean;
}

export function emptyForm(preset: ConnectionPreset): ConnectionForm {
  return {
    preset,
    name: preset === "custom" ? "" : presetLabel(preset),
    account: "",
    issuer: "",
    clientId: "",
    clientSecret: "",
    domains: "",
    scopes: "openid email profile",
    defaultRole: "viewer",
    createsUsers: true,
  };
}

export function formOf(connection: Connection): ConnectionForm {
  return {
    preset: connection.preset,
    name: connection.name,
    account: connection.account ?? "",
    issuer: connection.preset === "custom" ? connection.issuer : "",
    clientId: connection.client_id,
    clientSecret: "",
    domains: connection.domains.map((domain) => domain.domain).join(", "),
    scopes: connection.scopes.join(" "),
    defaultRole: connection.default_role ?? "",
    createsUsers: connection.creates_users,
  };
}

type Role = NonNullable<NewConnection["default_role"]>;

/** What the form says, as both a new connection and a change of one take it. */
export function bodyOf(form: ConnectionForm) {
  return {
    name: form.name.trim(),
    client_id: form.clientId.trim(),
    ...(form.clientSecret.trim() !== "" && { client_secret: form.clientSecret.trim() }),
    domains: splitDomains(form.domains),
    scopes: form.scopes.split(/\s+/).filter(Boolean),
    default_role: form.defaultRole === "" ? null : (form.defaultRole as Role),
    creates_users: form.createsUsers,
  };
}

/** Who the provider is. In a change only when it was changed: then the secret must be given again. */
export function providerOf(form: ConnectionForm, before: Connection | null): { account?: string; issuer?: string } {
  if (form.preset === "custom") {
    const issuer = form.issuer.trim();
    return before?.issuer === issuer ? {} : { issuer };
  }
  const account = form.account.trim();
  return before && before.account === account ? {} : { account };
}
