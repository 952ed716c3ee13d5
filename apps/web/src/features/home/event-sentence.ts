import type { PlasmaEvent } from "@plasma/client/types";

export interface EventSentence {
  text: string;
  /** What it happened to, by name where the event carries one. */
  subject: string | null;
  href: string | null;
  tone: "plain" | "good" | "bad";
}

const TEXTS: Record<string, string> = {
  "identity.login.succeeded": "Signed in",
  "identity.login.failed": "Sign-in refused",
  "identity.login.refused": "Sign-in not allowed by the login policy",
  "identity.proof.failed": "Wrong second proof",
  "identity.session.stepped_up": "Proved again who they are",
  "identity.link.requested": "Link by mail asked for",
  "identity.user.password_reset": "Forgotten password replaced",
  "identity.factor.added": "Second factor set up",
  "identity.factor.removed": "Second factor removed",
  "identity.factor.reset": "Second factors taken away by an administrator",
  "identity.passkey.renamed": "Passkey renamed",
  "identity.passkey.cloned": "Passkey may have been copied",
  "identity.recovery_codes.created": "Recovery codes made",
  "identity.recovery_codes.used": "Recovery code used",
  "identity.login_policy.updated": "Login policy changed",
  "identity.mail.queued": "Mail written",
  "identity.mail.sent": "Mail sent",
  "identity.mail.failed": "Mail could not be sent",
  "identity.user.created": "User added",
  "identity.user.updated": "User changed",
  "identity.user.deleted": "User deleted",
  "identity.team.created": "Team created",
  "identity.team.updated": "Team changed",
  "identity.team.deleted": "Team deleted",
  "identity.team.member_added": "Team has a new member",
  "identity.team.member_removed": "Team lost a member",
  "identity.team.default_changed": "Somebody's default team changed",
  "identity.api_key.created": "API key created",
  "identity.api_key.revoked": "API key revoked",
  "identity.api_key.updated": "API key changed",
  "identity.api_key.rotated": "API key got a successor",
  "identity.role.created": "Role created",
  "identity.role.updated": "Role changed",
  "identity.role.deleted": "Role deleted",
  "identity.policy.created": "Access policy created",
  "identity.policy.updated": "Access policy changed",
  "identity.policy.deleted": "Access policy deleted",
  "identity.session.revoked": "Session ended",
  "identity.application.created": "Application registered",
  "identity.application.updated": "Application changed",
  "identity.application.deleted": "Application deleted",
  "identity.application.secret_rotated": "Application got a new secret",
  "identity.application.allowed": "Application was let in",
  "identity.application.denied": "Application was refused",
  "identity.application.tokens_issued": "Application signed in",
  "identity.application.tokens_revoked": "Application signed out",
  "identity.application.token_reused": "Application's token came a second time: signed out",
  "identity.grant.revoked": "Access of an application taken back",
  "identity.signing_key.created": "New key for ID tokens",
  "identity.service_identity.created": "Service certificate allowed",
  "identity.service_identity.deleted": "Service certificate no longer allowed",
  "identity.connection.created": "Connection to an identity provider added",
  "identity.connection.updated": "Connection to an identity provider changed",
  "identity.connection.deleted": "Connection to an identity provider removed",
  "identity.connection.tested": "Connection to an identity provider tested",
  "identity.connection.logged_out": "Signed out by the identity provider",
  "identity.single_sign_on.changed": "Rules for single sign-on changed",
  "identity.single_sign_on.refused": "Single sign-on refused",
  "identity.account.linked": "Account at an identity provider linked",
  "identity.account.unlinked": "Account at an identity provider unlinked",
  "identity.domain.claimed": "E-mail domain claimed",
  "identity.domain.given_up": "E-mail domain given up",
  "identity.domain.verified": "E-mail domain verified",
  "identity.domain.released": "E-mail domain released",
  "identity.tenant.updated": "Workspace changed",
  "identity.tenant.suspended": "Workspace suspended",
  "identity.tenant.resumed": "Workspace open again",
  "identity.tenant.deletion_requested": "Deletion of the workspace asked for",
  "identity.tenant.deletion_cancelled": "Deletion of the workspace taken back",
  "identity.tenant.erased": "Workspace erased",
  "identity.tenant.entered": "Came from another workspace",
  "identity.branding.updated": "Look of the workspace changed",
  "identity.domain.confirmed": "Domain confirmed",
  "identity.quotas.updated": "Plan of the workspace changed",
  "identity.quota.near": "A limit of the plan is nearly reached",
  "identity.invitation.created": "Somebody invited",
  "identity.invitation.sent_again": "Invitation sent again",
  "identity.invitation.revoked": "Invitation taken back",
  "identity.invitation.accepted": "Invitation accepted",
  "identity.export.requested": "Export asked for",
  "identity.export.ready": "Export ready",
  "identity.export.failed": "Export failed",
  "identity.export.fetched": "Export fetched",
  "identity.export.deleted": "Export removed",
  "encryption.rotation.started": "Rotation of data keys begun",
  "encryption.rotation.stuck": "Rotation of data keys is stuck",
  "encryption.rotation.finished": "Data keys rotated",
  "encryption.master_key.rotated": "Master key rotated",
  "encryption.master_key.forgotten": "Old master key forgotten",
  "encryption.rewrap.started": "Data keys are put under another master key",
  "encryption.rewrap.finished": "Data keys are under another master key",
  "audit.noted.lost": "Refusals and readings could not be recorded",
  "audit.access.denied": "Request refused",
  "audit.personal_data.read": "Personal data read",
  "audit.log.exported": "Audit log exported",
  "audit.retention.changed": "Retention of the audit log changed",
  "audit.records.expired": "Old audit records removed",
  "audit.records.erased": "Person erased from the audit log",
  "audit.sink.created": "Audit anchor or export added",
  "audit.sink.changed": "Audit anchor or export changed",
  "audit.sink.deleted": "Audit anchor or export removed",
  "models.model.created": "Model added",
  "models.model.changed": "Model changed",
  "models.model.priced": "Model price set",
  "models.model.deleted": "Model removed",
  "identity.tenant.created": "Workspace created",
  "models.call.completed": "Model call",
  "models.provider.created": "Provider added",
  "models.provider.changed": "Provider changed",
  "models.provider.deleted": "Provider deleted",
  "models.route.changed": "Route changed",
  "models.route.deleted": "Route removed",
  "models.benchmark.created": "Benchmark begun",
  "models.benchmark.ended": "Benchmark ended",
  "models.benchmark.deleted": "Benchmark removed",
  "models.pull.created": "Weights are fetched",
  "models.pull.ended": "Fetching weights ended",
  "models.budget.created": "Budget set",
  "models.budget.changed": "Budget changed",
  "models.budget.deleted": "Budget removed",
  "models.budget.threshold_reached": "Budget nearly or wholly spent",
  "models.limit.created": "Limit set",
  "models.limit.changed": "Limit changed",
  "models.limit.deleted": "Limit removed",
  "knowledge.collection.created": "Collection created",
  "knowledge.collection.updated": "Collection changed",
  "knowledge.collection.deleted": "Collection deleted",
  "knowledge.collection.reembedding": "Embedding model is being changed",
  "knowledge.collection.reembedded": "Embedding model changed",
  "knowledge.collection.reembedding_ended": "Change of the embedding model given up",
  "knowledge.collection.placed": "Collection's vectors are placed",
  "knowledge.collections.erased": "Collections of a workspace erased",
  "knowledge.document.queued": "Document received",
  "knowledge.document.parsing": "Reading document",
  "knowledge.document.embedding": "Embedding document",
  "knowledge.document.ready": "Ready to search",
  "knowledge.document.failed": "Document failed",
  "knowledge.document.deleted": "Document deleted",
  "knowledge.document.access_changed": "Who may see a document changed",
  "content.document.created": "Content created",
  "content.document.revised": "Content revised",
  "content.document.deleted": "Content deleted",
};

/** What an event means to a person. An event of an unknown type is shown by its type. */
export function eventSentence(event: PlasmaEvent): EventSentence {
  const failed = event.type.endsWith(".failed") || event.data["status"] === "failed";
  return {
    text: TEXTS[event.type] ?? event.type,
    subject: name(event),
    href: event.type.endsWith(".deleted") ? null : address(event),
    tone: failed ? "bad" : event.type === "knowledge.document.ready" ? "good" : "plain",
  };
}

function name(event: PlasmaEvent): string | null {
  for (const field of ["title", "name", "email", "model", "file_name"]) {
    const value = event.data[field];
    if (typeof value === "string" && value !== "") return value;
  }
  return event.subject;
}

function address(event: PlasmaEvent): string | null {
  const { type, subject } = event;
  if (!subject) return null;
  const id = encodeURIComponent(subject);
  const collection = event.data["collection_id"];
  if (type.startsWith("knowledge.collection.")) return `/knowledge/collection/?id=${id}`;
  if (type.startsWith("knowledge.document.")) {
    return typeof collection === "string" ? `/knowledge/document/?collection=${encodeURIComponent(collection)}&document=${id}` : null;
  }
  if (type.startsWith("content.document.")) return `/content/document/?id=${id}`;
  if (type.startsWith("models.call.")) return `/models/call/?id=${id}`;
  if (type.startsWith("models.provider.")) return "/models/providers/";
  if (type.startsWith("models.route.")) return "/models/routes/";
  if (type.startsWith("models.budget.")) return "/models/budgets/";
  if (type.startsWith("models.pull.")) return "/models/";
  if (type.startsWith("identity.user.") || type.startsWith("identity.invitation.")) return "/settings/users/";
  if (type === "identity.domain.confirmed") return "/settings/workspace/";
  if (/^identity\.(?:tenant|branding|quotas?|export)\./.test(type)) return "/settings/workspace/";
  if (/^identity\.(?:connection|domain|single_sign_on|login_policy)\./.test(type)) return "/settings/sign-in/";
  if (type.startsWith("audit.")) return "/settings/audit/";
  if (type.startsWith("encryption.")) return "/settings/encryption/";
  if (type.startsWith("identity.team.")) return "/settings/teams/";
  if (type.startsWith("identity.api_key.")) return "/settings/api-keys/";
  if (type.startsWith("identity.role.")) return "/settings/roles/";
  if (type.startsWith("identity.policy.")) return `/settings/policies/?id=${id}`;
  if (type.startsWith("identity.application.")) return "/settings/applications/";
  return null;
}
