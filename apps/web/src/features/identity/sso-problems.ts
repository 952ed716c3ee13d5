/** Why a login by an identity provider did not work, in words. The server sends the browser back with the reason alone. */
const PROBLEMS: Record<string, { title: string; detail: string; remedy: string }> = {
  sso_state_unknown: {
    title: "This sign-in is not known",
    detail: "It was not begun here, or it was finished already.",
    remedy: "Begin again below.",
  },
  sso_expired: { title: "This sign-in took too long", detail: "It must be finished within ten minutes.", remedy: "Begin again below." },
  sso_other_browser: {
    title: "This sign-in belongs to another browser",
    detail: "It was begun elsewhere, or this browser does not keep cookies of this site.",
    remedy: "Begin again below, and allow cookies for this site.",
  },
  sso_issuer_mismatch: {
    title: "Another provider answered",
    detail: "The answer came from another identity provider than the one that was asked.",
    remedy: "Begin again below. If it happens again, tell an administrator of your workspace.",
  },
  sso_provider_refused: {
    title: "Your identity provider did not let you in",
    detail: "You may have cancelled, or it does not allow you this application.",
    remedy: "Try again, or ask whoever runs the identity provider.",
  },
  sso_code_missing: { title: "The answer was empty", detail: "Your identity provider sent nothing to sign in with.", remedy: "Begin again below." },
  sso_code_refused: { title: "The answer was used up", detail: "Your identity provider no longer takes this sign-in.", remedy: "Begin again below." },
  sso_client_refused: {
    title: "The connection needs care",
    detail: "The identity provider does not take the client id and secret that Plasma has.",
    remedy: "Ask an owner of your workspace to test the connection under Settings, Sign-in.",
  },
  sso_token_refused: {
    title: "The answer does not hold",
    detail: "What your identity provider said could not be verified, so it was not believed.",
    remedy: "Begin again below. If it happens again, ask an owner of your workspace to test the connection.",
  },
  sso_claim_missing: {
    title: "This connection is not for you",
    detail: "It lets in only people of one organization, and your account is not of it.",
    remedy: "Sign in at your identity provider with the account of your organization.",
  },
  sso_email_missing: {
    title: "Your e-mail is not known",
    detail: "Your identity provider did not say what your e-mail is.",
    remedy: "Ask whoever runs the identity provider to release it to this application.",
  },
  sso_email_unverified: {
    title: "Your e-mail is not verified",
    detail: "Your identity provider does not say that it has verified your e-mail, so the e-mail proves nothing here.",
    remedy: "Sign in in another way and link the account under Settings, Security.",
  },
  sso_domain_foreign: {
    title: "Your e-mail is of another domain",
    detail: "E-mails of that domain are not this connection’s, or nobody has verified yet that they are.",
    remedy: "Sign in in another way and link the account under Settings, Security, or ask an owner of your workspace.",
  },
  sso_link_first: {
    title: "There is an account with your e-mail",
    detail: "This identity provider must not open it by itself.",
    remedy: "Sign in in another way, then link the two under Settings, Security.",
  },
  sso_other_account_linked: {
    title: "Another account is linked already",
    detail: "Your user is linked to another account at this identity provider.",
    remedy: "Use that account, unlink it under Settings, Security, or ask an owner of your workspace to unlink it.",
  },
  sso_account_taken: {
    title: "This account is somebody else’s here",
    detail: "It is linked to another user of your workspace.",
    remedy: "Sign in at the identity provider with your own account.",
  },
  sso_no_account: {
    title: "You have no account here",
    detail: "This workspace does not make accounts by itself.",
    remedy: "Ask an administrator of the workspace to invite you.",
  },
  sso_no_role: {
    title: "You have no role here",
    detail: "No rule of this connection gives you one.",
    remedy: "Ask whoever runs the identity provider to put you into a group that has one.",
  },
  sso_more_needed: {
    title: "More is needed",
    detail: "Your workspace asks for more than the identity provider’s sign-in.",
    remedy: "Ask an owner of your workspace.",
  },
  single_sign_on_required: {
    title: "Sign in with your organization",
    detail: "Your workspace lets people in only by its identity provider.",
    remedy: "Enter your e-mail and choose your organization’s sign-in.",
  },
  connection_not_found: { title: "There is no such sign-in", detail: "The connection was removed or is switched off.", remedy: "Choose another way to sign in." },
  outbound_failed: {
    title: "The identity provider does not answer",
    detail: "Plasma cannot reach it.",
    remedy: "Try again in a moment. If it lasts, tell an owner of your workspace.",
  },
  outbound_timeout: { title: "The identity provider is slow", detail: "It did not answer in time.", remedy: "Try again in a moment." },
  outbound_address_refused: {
    title: "The identity provider is not called",
    detail: "Its address leads into the server’s own network.",
    remedy: "Ask whoever runs the server to allow that network (outbound_allowed_networks).",
  },
  provider_unusable: {
    title: "The identity provider answered nonsense",
    detail: "Its answer is not what the protocol asks for.",
    remedy: "Ask an owner of your workspace to test the connection under Settings, Sign-in.",
  },
  user_disabled: { title: "You are locked out", detail: "Your user is disabled.", remedy: "Ask an administrator of your workspace to let you in again." },
  address_not_allowed: { title: "Not from here", detail: "Your workspace does not let people in from this network.", remedy: "Use a network of your organization." },
  tenant_suspended: { title: "The workspace is suspended", detail: "Nobody can work in it at the moment.", remedy: "Ask an owner of the workspace." },
  too_many_logins: { title: "Too many sign-ins", detail: "Too many were begun at once.", remedy: "Wait a minute, then try again." },
};

export interface SignInProblem {
  title: string;
  detail: string;
  remedy: string;
}

/** Any reason in words; one that is not known here is shown as it is, if it looks like a reason at all. */
export function signInProblem(reason: string | null): SignInProblem | null {
  if (!reason) return null;
  // Not every name of an object is one of ours.
  if (Object.hasOwn(PROBLEMS, reason)) return PROBLEMS[reason] ?? null;
  const shown = /^[a-z_]{1,60}$/.test(reason) ? ` (${reason})` : "";
  return { title: "Signing in did not work", detail: `The server refused it${shown}.`, remedy: "Try again, or ask an administrator of your workspace." };
}
