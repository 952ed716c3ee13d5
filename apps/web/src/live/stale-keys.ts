import type { PlasmaEvent } from "@plasma/client/types";
import type { QueryKey } from "@tanstack/react-query";

import { apiKeyKeys } from "@/data/api-keys/keys";
import { applicationKeys } from "@/data/applications/keys";
import { batchKeys } from "@/data/batches/keys";
import { benchmarkKeys } from "@/data/benchmarks/keys";
import { budgetKeys } from "@/data/budgets/keys";
import { callKeys } from "@/data/calls/keys";
import { captureKeys } from "@/data/capture/keys";
import { collectionKeys } from "@/data/collections/keys";
import { contentKeys } from "@/data/content/keys";
import { documentKeys } from "@/data/documents/keys";
import { grantKeys } from "@/data/grants/keys";
import { loginPolicyKeys } from "@/data/login-policy/keys";
import { modelKeys } from "@/data/models/keys";
import { policyKeys } from "@/data/policies/keys";
import { promptKeys } from "@/data/prompts/keys";
import { providerKeys } from "@/data/providers/keys";
import { pullKeys } from "@/data/pulls/keys";
import { roleKeys } from "@/data/roles/keys";
import { routeKeys } from "@/data/routes/keys";
import { securityKeys } from "@/data/security/keys";
import { sessionKeys } from "@/data/session/keys";
import { loginSessionKeys } from "@/data/sessions/keys";
import { systemKeys } from "@/data/system/keys";
import { teamKeys } from "@/data/teams/keys";
import { userKeys } from "@/data/users/keys";

/** Which cached answers an event makes old. */
export function staleKeys(event: PlasmaEvent): QueryKey[] {
  const { type } = event;
  const keys: QueryKey[] = [systemKeys.overview];
  if (type.startsWith("knowledge.")) keys.push(collectionKeys.all, systemKeys.jobs);
  if (type.startsWith("knowledge.document.")) {
    const collection = event.data["collection_id"];
    keys.push(typeof collection === "string" ? documentKeys.lists(collection) : documentKeys.all);
    if (typeof collection === "string" && event.subject) keys.push(documentKeys.detail(collection, event.subject));
  }
  if (type.startsWith("models.call.")) keys.push(callKeys.all);
  if (type.startsWith("models.capture.")) keys.push(captureKeys.settings);
  if (type.startsWith("models.batch.")) keys.push(batchKeys.all);
  if (type.startsWith("models.provider.")) keys.push(providerKeys.all, modelKeys.all);
  if (type.startsWith("models.benchmark.")) keys.push(benchmarkKeys.all);
  if (type.startsWith("models.pull.")) keys.push(pullKeys.all, modelKeys.all);
  if (type.startsWith("models.route.")) keys.push(routeKeys.all);
  if (type.startsWith("models.prompt.")) keys.push(promptKeys.all);
  // Each call may have spent something.
  if (type.startsWith("models.budget.") || type.startsWith("models.call.")) keys.push(budgetKeys.all);
  if (type.startsWith("content.")) {
    keys.push(contentKeys.list);
    if (event.subject) keys.push(contentKeys.detail(event.subject), contentKeys.revisions(event.subject));
  }
  if (type.startsWith("identity.user.")) keys.push(userKeys.all, roleKeys.all);
  // What whoever looks may do can be another now.
  if (type.startsWith("identity.role.")) keys.push(roleKeys.all, userKeys.all, apiKeyKeys.all, sessionKeys.me);
  if (type.startsWith("identity.policy.")) keys.push(type.endsWith(".deleted") ? policyKeys.list : policyKeys.all, sessionKeys.me);
  // A deleted team is named by no API key any more.
  if (type.startsWith("identity.team.")) keys.push(teamKeys.all, apiKeyKeys.all);
  if (type.startsWith("identity.api_key.")) keys.push(apiKeyKeys.all);
  if (type.startsWith("identity.login.") || type.startsWith("identity.session.")) keys.push(loginSessionKeys.all);
  if (/^identity\.(factor|passkey|recovery_codes)\./.test(type)) keys.push(securityKeys.mine);
  if (type.startsWith("identity.login_policy.")) keys.push(loginPolicyKeys.policy);
  // An application may have signed in or out for whoever looks.
  if (type.startsWith("identity.application.")) keys.push(applicationKeys.all, grantKeys.all);
  if (type.startsWith("identity.grant.")) keys.push(grantKeys.all);
  return keys;
}
