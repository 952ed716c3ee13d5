"use client";

import type { Connection, ConnectionCheck } from "@plasma/client/types";
import { useEffect } from "react";

import { useTestConnection } from "@/data/connections/mutations";
import { Badge, type Tone } from "@/ui/badge";
import { Button, buttonClass } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { Message } from "@/ui/message";
import { ProblemNote } from "@/ui/problem-note";
import { SkeletonRows } from "@/ui/query-view";

const STATES: Record<ConnectionCheck["state"], { label: string; tone: Tone }> = {
  passed: { label: "Good", tone: "good" },
  warning: { label: "Look", tone: "warn" },
  failed: { label: "Wrong", tone: "bad" },
};

export function ConnectionTestDialog({ connection, onClose }: { connection: Connection | null; onClose: () => void }) {
  return (
    <Dialog open={connection !== null} onOpenChange={(open) => !open && onClose()} title={connection ? `Test of ${connection.name}` : "Test"} wide>
      {connection && (
        <>
          <ConnectionTestResult connection={connection} />
          <DialogActions><Button variant="primary" onClick={onClose}>Close</Button></DialogActions>
        </>
      )}
    </Dialog>
  );
}

/** Tests a connection at once, and says in words what was found. */
export function ConnectionTestResult({ connection }: { connection: Connection }) {
  const { mutate, data, error, isPending } = useTestConnection();
  useEffect(() => mutate(connection.id), [mutate, connection.id]);
  return (
    <>
      {error ? <ProblemNote error={error} /> : null}
      {!data && !error && <SkeletonRows rows={5} />}
      {data && (
        <>
          <p role="status" className="mb-4">
            {data.ok ? "The provider answers as it should. Sign in by it once to see the whole way." : "People cannot sign in by it yet."}
          </p>
          <ul className="border-t border-rule">
            {data.checks.map((check) => (
              <li key={check.name} data-check={check.name} className="flex gap-3 border-b border-rule py-2.5">
                <span className="w-16 shrink-0"><Badge tone={STATES[check.state].tone}>{STATES[check.state].label}</Badge></span>
                <span className="min-w-0">
                  <span className="break-words"><Message text={check.detail} /></span>
                  {check.remedy && <span className="block text-[0.875rem] text-soft"><Message text={check.remedy} /></span>}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
      <div className="mt-4 flex flex-wrap gap-2.5">
        <Button small busy={isPending} onClick={() => mutate(connection.id)}>Test again</Button>
        {connection.enabled && <a className={buttonClass("secondary", true)} href={`${connection.login_url}?next=${encodeURIComponent("/settings/sign-in/")}`}>Sign in by it</a>}
      </div>
    </>
  );
}
