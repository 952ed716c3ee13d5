"use client";

import type { ApiKey } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Ellipsis, Plus } from "lucide-react";
import { useState } from "react";

import { useRevokeApiKey } from "@/data/api-keys/mutations";
import { apiKeysQuery } from "@/data/api-keys/queries";
import { formatDate, plural } from "@/lib/format";
import { useNow } from "@/lib/use-now";
import { Badge } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { LoadMore } from "@/ui/load-more";
import { Menu, MenuItem } from "@/ui/menu";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { ApiKeyDialog } from "./api-key-dialog";
import { EditApiKeyDialog, RotateApiKeyDialog } from "./api-key-dialogs";
import { roleLabel } from "./role-labels";
import { useDenied } from "./session";
import { TeamName } from "./team-name";

export function ApiKeysPage() {
  const keys = useInfiniteQuery(apiKeysQuery);
  const denied = useDenied("api_keys:write");
  const revoke = useRevokeApiKey();
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const [editing, setEditing] = useState<ApiKey | null>(null);
  const [rotating, setRotating] = useState<ApiKey | null>(null);
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
              <tbody>{data.map((key) => <KeyRow key={key.id} apiKey={key} denied={denied} onEdit={() => setEditing(key)} onRotate={() => setRotating(key)} onRevoke={() => setRevoking(key)} />)}</tbody>
            </table>
            <LoadMore query={keys} />
          </>
        )}
      </QueryView>
      <ApiKeyDialog open={creating} onOpenChange={setCreating} />
      <EditApiKeyDialog apiKey={editing} onClose={() => setEditing(null)} />
      <RotateApiKeyDialog apiKey={rotating} onClose={() => setRotating(null)} />
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

function KeyRow({ apiKey, denied, onEdit, onRotate, onRevoke }: { apiKey: ApiKey; denied: string | null; onEdit: () => void; onRotate: () => void; onRevoke: () => void }) {
  const now = useNow();
  const revoked = apiKey.revoked_at !== null;
  const expired = apiKey.expires_at !== null && apiKey.expires_at / 1000 < now;
  return (
    <tr data-api-key={apiKey.id} className={revoked || expired ? "text-faint" : undefined}>
      <td>
        <span className="font-medium">{apiKey.name}</span> {revoked ? <Badge>Revoked</Badge> : expired ? <Badge tone="warn">Expired</Badge> : null}
        <span className="figure block text-[0.8125rem] text-soft">{apiKey.prefix}…</span>
        {apiKey.addresses.length > 0 && <span className="block text-[0.8125rem] break-words text-soft">only from {apiKey.addresses.join(", ")}</span>}
        {apiKey.replaced_by && !revoked && <span className="block text-[0.8125rem] text-soft">has a successor</span>}
        {apiKey.team && <span className="block text-[0.8125rem] text-soft">counts for <TeamName id={apiKey.team} /></span>}
      </td>
      <td data-label="Role">
        <span>{apiKey.custom_role?.name ?? roleLabel(apiKey.role)}<span title={apiKey.scopes.join(", ")} className="block text-[0.8125rem] text-faint">{plural(apiKey.scopes.length, "permission")}</span></span>
      </td>
      <td data-label="Last used">{apiKey.last_used_at === null ? "never" : <span><Time at={apiKey.last_used_at} />{apiKey.last_used_address !== null && <span className="figure block text-[0.8125rem] break-all text-faint">{apiKey.last_used_address}</span>}</span>}</td>
      <td data-label="Expires">{apiKey.expires_at === null ? "never" : formatDate(apiKey.expires_at)}</td>
      <td data-label="Created"><Time at={apiKey.created_at} /></td>
      <td className="num">
        {!revoked && (
          <span className="inline-flex items-center gap-1">
            <Button small variant="danger" reason={denied} onClick={onRevoke}>Revoke</Button>
            {!expired && (
              <Menu trigger={<IconButton label={`Actions for ${apiKey.name}`}><Ellipsis aria-hidden className="size-[1.125rem]" /></IconButton>}>
                <MenuItem disabled={denied !== null} onSelect={onEdit}>Change name or addresses</MenuItem>
                <MenuItem disabled={denied !== null || apiKey.replaced_by !== null} onSelect={onRotate}>Rotate</MenuItem>
              </Menu>
            )}
          </span>
        )}
      </td>
    </tr>
  );
}
