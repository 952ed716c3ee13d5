"use client";

import type { ApiKey } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";

import { useRevokeApiKey } from "@/data/api-keys/mutations";
import { apiKeysQuery } from "@/data/api-keys/queries";
import { formatDate, plural } from "@/lib/format";
import { useNow } from "@/lib/use-now";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { LoadMore } from "@/ui/load-more";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { ApiKeyDialog } from "./api-key-dialog";
import { roleLabel } from "./role-labels";
import { useDenied } from "./session";
import { TeamName } from "./team-name";

export function ApiKeysPage() {
  const keys = useInfiniteQuery(apiKeysQuery);
  const denied = useDenied("api_keys:write");
  const revoke = useRevokeApiKey();
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const create = <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setCreating(true)}>Create an API key</Button>;
  return (
    <>
      <PageHeader
        title="API keys"
        lead={<>For programs, in place of a password. Use one as a bearer token with this API or with any OpenAI client. See the <a href="/docs/" className="link">API reference</a>.</>}
        actions={create}
      />
      <QueryView query={keys} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No API key yet" action={create}>A key belongs to a role and can be narrowed further. It is shown once.</EmptyState>}>
        {(data) => (
          <>
            <table className="ledger stack">
              <thead><tr><th>Name</th><th>Role</th><th>Last used</th><th>Expires</th><th>Created</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>{data.map((key) => <KeyRow key={key.id} apiKey={key} denied={denied} onRevoke={() => setRevoking(key)} />)}</tbody>
            </table>
            <LoadMore query={keys} />
          </>
        )}
      </QueryView>
      <ApiKeyDialog open={creating} onOpenChange={setCreating} />
      <ConfirmDialog
        open={revoking !== null}
        onOpenChange={(open) => !open && setRevoking(null)}
        title={`Revoke “${revoking?.name ?? ""}”?`}
        action="Revoke key"
        busy={revoke.isPending}
        error={revoke.error}
        onConfirm={() => revoking && revoke.mutate(revoking.id, { onSuccess: () => setRevoking(null) })}
      >
        Every program that uses {revoking?.prefix}… is refused from this moment. This cannot be undone.
      </ConfirmDialog>
    </>
  );
}

function KeyRow({ apiKey, denied, onRevoke }: { apiKey: ApiKey; denied: string | null; onRevoke: () => void }) {
  const now = useNow();
  const revoked = apiKey.revoked_at !== null;
  const expired = apiKey.expires_at !== null && apiKey.expires_at / 1000 < now;
  return (
    <tr data-api-key={apiKey.id} className={revoked || expired ? "text-faint" : undefined}>
      <td>
        <span className="font-medium">{apiKey.name}</span> {revoked ? <Badge>Revoked</Badge> : expired ? <Badge tone="warn">Expired</Badge> : null}
        <span className="figure block text-[0.8125rem] text-soft">{apiKey.prefix}…</span>
        {apiKey.team && <span className="block text-[0.8125rem] text-soft">counts for <TeamName id={apiKey.team} /></span>}
      </td>
      <td data-label="Role">
        <span>{roleLabel(apiKey.role)}<span title={apiKey.scopes.join(", ")} className="block text-[0.8125rem] text-faint">{plural(apiKey.scopes.length, "permission")}</span></span>
      </td>
      <td data-label="Last used">{apiKey.last_used_at === null ? "never" : <Time at={apiKey.last_used_at} />}</td>
      <td data-label="Expires">{apiKey.expires_at === null ? "never" : formatDate(apiKey.expires_at)}</td>
      <td data-label="Created"><Time at={apiKey.created_at} /></td>
      <td className="num">{!revoked && <Button small variant="danger" reason={denied} onClick={onRevoke}>Revoke</Button>}</td>
    </tr>
  );
}
