import type { AskingApplication, Me, ScopeInWords } from "@plasma/client/types";
import type { ReactNode } from "react";

import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ProblemNote } from "@/ui/problem-note";

import { ScopeList } from "./scope-list";

interface ConsentPanelProps {
  application: AskingApplication;
  scopes: readonly ScopeInWords[];
  me: Me;
  /** What the person should know before they decide. */
  children: ReactNode;
  busy: boolean;
  error: unknown;
  onDecide: (allow: boolean) => void;
}

/** Who asks, for what, in whose name; and the decision. */
export function ConsentPanel({ application, scopes, me, children, busy, error, onDecide }: ConsentPanelProps) {
  return (
    <div data-consent={application.id}>
      <h1 className="text-[1.75rem] leading-tight break-words">Allow {application.name} to act for you?</h1>
      <p className="mt-2 text-soft">
        {application.built_in ? <Badge tone="accent">Part of Plasma</Badge> : <Badge>Registered in {me.tenant.name}</Badge>}
        {application.description && <span className="mt-2 block break-words">{application.description}</span>}
        {application.homepage && <a href={application.homepage} rel="noreferrer noopener" target="_blank" className="link mt-1 block break-all">{application.homepage}</a>}
      </p>
      <p className="mt-5 border-t border-rule pt-4 text-[0.875rem] text-soft">
        You are {me.user?.name ?? me.actor.name}{me.user && <> (<span className="break-all">{me.user.email}</span>)</>} in {me.tenant.name}. It will know your name, your e-mail and your role, and may:
      </p>
      <div className="mt-3 max-h-[40dvh] overflow-y-auto"><ScopeList scopes={scopes} /></div>
      <div className="mt-5 text-[0.875rem] text-soft">{children}</div>
      {error ? <ProblemNote error={error} className="mt-4" /> : null}
      <div className="mt-6 flex flex-row-reverse flex-wrap gap-2.5">
        <Button variant="primary" busy={busy} onClick={() => onDecide(true)}>Allow</Button>
        <Button disabled={busy} onClick={() => onDecide(false)}>Refuse</Button>
      </div>
    </div>
  );
}
