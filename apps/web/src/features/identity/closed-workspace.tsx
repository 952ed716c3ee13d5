"use client";

import type { Problem } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { useLogout } from "@/data/session/mutations";
import { myTenantsQuery } from "@/data/tenants/queries";
import { formatDateTime } from "@/lib/format";
import { Button } from "@/ui/button";
import { Message } from "@/ui/message";

import { CancelDeletion } from "./deletion-section";
import { ExportSection } from "./export-section";
import { useMe } from "./session";
import { useSwitchWorkspace } from "./use-switch-workspace";

const CLOSED = ["tenant_suspended", "tenant_deleting"];

/** Whether a refusal means that the whole workspace is closed. */
export function isClosed(problem: Problem): boolean {
  return CLOSED.includes(problem.reason);
}

/** For its people: why nothing opens, and the ways on. */
export function ClosedNotice({ problem }: { problem: Problem }) {
  return (
    <Frame title="This workspace is closed">
      <p className="text-soft"><Message text={problem.detail} /></p>
      {problem.remedy && <p className="mt-2 text-soft"><Message text={problem.remedy} /></p>}
      <WaysOn />
    </Frame>
  );
}

/** For its owners: what is left to do. */
export function ClosedWorkspace() {
  const { tenant } = useMe();
  const deleting = tenant.state === "deleting";
  return (
    <Frame title={deleting ? `${tenant.name} is to be deleted` : `${tenant.name} is suspended`}>
      {deleting ? (
        <>
          <p className="text-soft">
            Nobody else gets in any more{tenant.delete_at !== null && <>, and on {formatDateTime(tenant.delete_at)} everything is erased</>}. Until then you can take the deletion back.
          </p>
          <div className="mt-5"><CancelDeletion id={tenant.id} /></div>
        </>
      ) : (
        <p className="text-soft">
          Whoever runs this installation has closed it{tenant.state_reason ? `: ${tenant.state_reason}` : "."} Your data is kept, and background work waits.
        </p>
      )}
      <div className="mt-10"><ExportSection /></div>
      <WaysOn />
    </Frame>
  );
}

function Frame({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="mx-auto grid min-h-dvh max-w-2xl content-center p-6 py-16">
      <h1 className="mb-4 text-[2rem] sm:text-[2.5rem]">{title}</h1>
      {children}
    </main>
  );
}

function WaysOn() {
  const mine = useQuery(myTenantsQuery);
  const { enter, entering } = useSwitchWorkspace();
  const logout = useLogout();
  const others = mine.data?.filter((one) => !one.current && one.tenant.state === "active") ?? [];
  return (
    <div className="mt-10 flex flex-wrap gap-2.5 border-t border-rule pt-6">
      {others.map((one) => (
        <Button key={one.tenant.id} busy={entering} onClick={() => enter(one.tenant.id)}>Go to {one.tenant.name}</Button>
      ))}
      <Button variant="quiet" busy={logout.isPending} onClick={() => logout.mutate(undefined, { onSettled: (answer) => location.replace(answer?.url ?? "/login/") })}>Sign out</Button>
    </div>
  );
}
