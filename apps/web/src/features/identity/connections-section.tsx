"use client";

import type { Connection } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { Ellipsis, Plus } from "lucide-react";
import { useState } from "react";

import { useDeleteConnection, useUpdateConnection } from "@/data/connections/mutations";
import { connectionsQuery } from "@/data/connections/queries";
import { Badge } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { Section } from "@/ui/page-header";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { ClaimedDomainsSection } from "./claimed-domains-section";
import { ConnectionAccountsDialog } from "./connection-accounts-dialog";
import { ConnectionDialog } from "./connection-dialog";
import { ConnectionRulesDialog } from "./connection-rules-dialog";
import { ConnectionTestDialog } from "./connection-test";
import { presetLabel } from "./connection-presets";
import { EnforcementSection } from "./enforcement-section";
import { useCan, useDenied } from "./session";

type Opened = { what: "edit" | "rules" | "test" | "accounts" | "disable" | "delete"; connection: Connection };

/** Identity providers of the workspace, and whether they are the only way in; for the sign-in page. */
export function ConnectionsSection() {
  const connections = useQuery(connectionsQuery);
  const denied = useDenied("security:write");
  const operates = useCan("installation:read");
  const [creating, setCreating] = useState(false);
  const [opened, setOpened] = useState<Opened | null>(null);
  const close = () => setOpened(null);
  const shown = (what: Opened["what"]) => (opened?.what === what ? opened.connection : null);
  const connect = <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setCreating(true)}>Connect a provider</Button>;
  return (
    <>
      <Section
        title="Single sign-on"
        lead="People sign in with the account of your organization, by OpenID Connect: Google Workspace, Microsoft Entra ID, Okta, Auth0 or any other provider."
        actions={connections.data && connections.data.length > 0 ? connect : null}
      >
        <QueryView
          query={connections}
          loading={<SkeletonRows rows={2} />}
          isEmpty={(data) => data.length === 0}
          empty={<EmptyState title="No identity provider yet" action={connect}>Once one is connected, people whose e-mail is of your domain find it on the login page.</EmptyState>}
        >
          {(data) => (
            <table className="ledger stack">
              <thead><tr><th>Name</th><th>Domains</th><th>Last sign-in</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>
                {data.map((connection) => (
                  <ConnectionRow key={connection.id} connection={connection} denied={denied} onOpen={(what) => setOpened({ what, connection })} />
                ))}
              </tbody>
            </table>
          )}
        </QueryView>
      </Section>
      {connections.data && connections.data.length > 0 && <EnforcementSection />}
      {operates && <ClaimedDomainsSection />}
      <ConnectionDialog connection={creating ? "new" : shown("edit")} onClose={() => (creating ? setCreating(false) : close())} />
      <ConnectionRulesDialog connection={shown("rules")} onClose={close} />
      <ConnectionTestDialog connection={shown("test")} onClose={close} />
      <ConnectionAccountsDialog connection={shown("accounts")} onClose={close} />
      <SwitchDialog connection={shown("disable")} onClose={close} />
      <DeleteDialog connection={shown("delete")} onClose={close} />
    </>
  );
}

function ConnectionRow({ connection, denied, onOpen }: { connection: Connection; denied: string | null; onOpen: (what: Opened["what"]) => void }) {
  return (
    <tr data-connection={connection.id}>
      <td>
        <span className="font-medium break-words">{connection.name}</span> {!connection.enabled && <Badge tone="warn">Switched off</Badge>}
        <span className="block text-[0.875rem] break-all text-soft">{presetLabel(connection.preset)}, {connection.account ?? connection.issuer}</span>
      </td>
      <td data-label="Domains">
        {connection.domains.length === 0 ? <span className="text-faint">none</span> : (
          <ul className="flex flex-col gap-1">
            {connection.domains.map(({ domain, state }) => (
              <li key={domain} className="break-all">
                {domain} {state === "pending" && <Badge tone="warn">Not verified</Badge>}{state === "taken" && <Badge tone="bad">Another workspace’s</Badge>}
              </li>
            ))}
          </ul>
        )}
      </td>
      <td data-label="Last sign-in" className="text-soft">{connection.last_login_at === null ? "never" : <Time at={connection.last_login_at} />}</td>
      <td className="num">
        <Menu trigger={<IconButton label={`Actions for ${connection.name}`}><Ellipsis aria-hidden className="size-[1.125rem]" /></IconButton>}>
          <MenuItem disabled={denied !== null} onSelect={() => onOpen("test")}>Test</MenuItem>
          <MenuItem disabled={denied !== null} onSelect={() => onOpen("edit")}>Change</MenuItem>
          <MenuItem onSelect={() => onOpen("rules")}>Roles and teams</MenuItem>
          <MenuItem onSelect={() => onOpen("accounts")}>Linked people</MenuItem>
          <MenuSeparator />
          <MenuItem disabled={denied !== null} onSelect={() => onOpen("disable")}>{connection.enabled ? "Switch off" : "Switch on"}</MenuItem>
          <MenuItem danger disabled={denied !== null} onSelect={() => onOpen("delete")}>Delete</MenuItem>
        </Menu>
      </td>
    </tr>
  );
}

function SwitchDialog({ connection, onClose }: { connection: Connection | null; onClose: () => void }) {
  const update = useUpdateConnection();
  const close = () => {
    update.reset();
    onClose();
  };
  return (
    <ConfirmDialog
      open={connection !== null}
      onOpenChange={(open) => !open && close()}
      title={`Switch “${connection?.name ?? ""}” ${connection?.enabled ? "off" : "on"}?`}
      action={connection?.enabled ? "Switch off" : "Switch on"}
      danger={connection?.enabled ?? false}
      busy={update.isPending}
      error={update.error}
      onConfirm={() => connection && update.mutate({ id: connection.id, enabled: !connection.enabled }, { onSuccess: close })}
    >
      {connection?.enabled ? "Nobody can sign in by it, and everybody who did is signed out at once. Linked accounts stay." : "People can sign in by it again."}
    </ConfirmDialog>
  );
}

function DeleteDialog({ connection, onClose }: { connection: Connection | null; onClose: () => void }) {
  const remove = useDeleteConnection();
  const close = () => {
    remove.reset();
    onClose();
  };
  return (
    <ConfirmDialog
      open={connection !== null}
      onOpenChange={(open) => !open && close()}
      title={`Delete “${connection?.name ?? ""}”?`}
      action="Delete connection"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => connection && remove.mutate(connection.id, { onSuccess: close })}
    >
      Everybody who signed in by it is signed out, and all of its linked accounts and domains are forgotten. Its people stay in the workspace. This cannot be undone.
    </ConfirmDialog>
  );
}
