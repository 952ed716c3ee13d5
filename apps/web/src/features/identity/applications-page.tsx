"use client";

import type { Application, ApplicationWithSecret } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Ellipsis, Plus } from "lucide-react";
import { useState } from "react";

import { useDeleteApplication, useUpdateApplication } from "@/data/applications/mutations";
import { applicationsQuery } from "@/data/applications/queries";
import { plural } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { LoadMore } from "@/ui/load-more";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { PageHeader } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { ApplicationDialog } from "./application-dialog";
import { MadeDialog, RotateDialog } from "./application-secret-dialog";
import { useDenied } from "./session";

export function ApplicationsPage() {
  const applications = useInfiniteQuery(applicationsQuery);
  const denied = useDenied("applications:write");
  const remove = useDeleteApplication();
  const update = useUpdateApplication();
  const [editing, setEditing] = useState<Application | "new" | null>(null);
  const [rotating, setRotating] = useState<Application | null>(null);
  const [removing, setRemoving] = useState<Application | null>(null);
  const [made, setMade] = useState<ApplicationWithSecret | null>(null);
  const create = <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setEditing("new")}>Register an application</Button>;
  const close = () => {
    remove.reset();
    setRemoving(null);
  };
  return (
    <>
      <PageHeader
        title="Applications"
        lead={<>Programs of others that people let act for them, by OAuth 2.1 and OpenID Connect, and services that act for themselves. See the <a href="/docs/" className="link">API reference</a>.</>}
        actions={create}
      />
      {update.error ? <ProblemNote error={update.error} className="mb-4" /> : null}
      <QueryView query={applications} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No application yet" action={create}>Plasma’s own command line needs none: <code className="figure">plasma login</code> works as it is.</EmptyState>}>
        {(data) => (
          <>
            <table className="ledger stack">
              <thead><tr><th>Name</th><th>May ask for</th><th>For itself</th><th>Changed</th><th><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>
                {data.map((application) => (
                  <ApplicationRow
                    key={application.id}
                    application={application}
                    denied={denied}
                    onEdit={() => setEditing(application)}
                    onRotate={() => setRotating(application)}
                    onDisable={() => update.mutate({ id: application.id, disabled: !application.disabled })}
                    onRemove={() => setRemoving(application)}
                  />
                ))}
              </tbody>
            </table>
            <LoadMore query={applications} />
          </>
        )}
      </QueryView>
      <ApplicationDialog
        application={editing}
        onClose={() => setEditing(null)}
        onCreated={(created) => {
          setEditing(null);
          setMade(created);
        }}
      />
      <RotateDialog
        application={rotating}
        onClose={() => setRotating(null)}
        onRotated={(rotated) => {
          setRotating(null);
          setMade(rotated);
        }}
      />
      <MadeDialog made={made} onClose={() => setMade(null)} />
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && close()}
        title={`Delete “${removing?.name ?? ""}”?`}
        action="Delete application"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => removing && remove.mutate(removing.id, { onSuccess: close })}
      >
        It is refused from this moment, for itself and for everybody who let it in. This cannot be undone.
      </ConfirmDialog>
    </>
  );
}

interface ApplicationRowProps {
  application: Application;
  denied: string | null;
  onEdit: () => void;
  onRotate: () => void;
  onDisable: () => void;
  onRemove: () => void;
}

function ApplicationRow({ application, denied, onEdit, onRotate, onDisable, onRemove }: ApplicationRowProps) {
  const { scopes, own_permissions: own, secrets } = application;
  return (
    <tr data-application={application.id} className={application.disabled ? "text-faint" : undefined}>
      <td>
        <span className="font-medium break-words">{application.name}</span> {application.disabled && <Badge tone="warn">Locked out</Badge>}
        <span className="figure block text-[0.8125rem] break-all text-soft">{application.id}</span>
        <span className="block text-[0.8125rem] text-soft">{application.kind === "public" ? "on people’s devices" : `on a server, ${plural(secrets.length, "secret")}`}</span>
      </td>
      <td data-label="May ask for"><span title={scopes.join(", ")}>{scopes.length === 0 ? "only who people are" : plural(scopes.length, "permission")}</span></td>
      <td data-label="For itself">
        <span title={own.join(", ")}>
          {own.length === 0 ? "nothing" : plural(own.length, "permission")}
          {application.last_used_at !== null && <span className="block text-[0.8125rem] text-faint">used <Time at={application.last_used_at} /></span>}
        </span>
      </td>
      <td data-label="Changed"><Time at={application.updated_at} /></td>
      <td className="num">
        {denied === null && (
          <Menu trigger={<IconButton label={`Actions for ${application.name}`}><Ellipsis aria-hidden className="size-4" /></IconButton>}>
            <MenuItem onSelect={onEdit}>Change</MenuItem>
            {application.kind === "confidential" && <MenuItem onSelect={onRotate}>New secret</MenuItem>}
            <MenuItem onSelect={onDisable}>{application.disabled ? "Let in again" : "Lock out"}</MenuItem>
            <MenuSeparator />
            <MenuItem danger onSelect={onRemove}>Delete</MenuItem>
          </Menu>
        )}
      </td>
    </tr>
  );
}
