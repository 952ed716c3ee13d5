"use client";

import type { AccessPolicy, AccessPolicyVersion } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { policyVersionsQuery } from "@/data/policies/queries";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { DiffLineRow } from "@/ui/diff-hunks";
import { LoadMore } from "@/ui/load-more";
import { QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";
import { diffRows } from "@/lib/word-diff";

import { ActorName } from "./actor-name";
import { lineDiff } from "./policy-text";
import { useDenied } from "./session";

/** Every version with who made it, what it changed, and a way back. */
export function PolicyHistory({ policy, onRestore }: { policy: AccessPolicy; onRestore: (text: string, version: number) => void }) {
  const versions = useInfiniteQuery(policyVersionsQuery(policy.id));
  const [chosen, setChosen] = useState<number | null>(null);
  return (
    <QueryView query={versions}>
      {(data) => {
        const shown = data.find((version) => version.version === (chosen ?? data[0]?.version)) ?? null;
        const before = shown ? (data.find((version) => version.version === shown.version - 1) ?? null) : null;
        return (
          <div className="grid gap-x-12 gap-y-10 lg:grid-cols-[20rem_minmax(0,1fr)]">
            <div>
              <ol aria-label="Versions, newest first" className="border-t border-rule-strong">
                {data.map((version) => (
                  <li key={version.version} data-version={version.version} className={cx("border-b border-rule py-3.5", version === shown && "border-l-2 border-l-accent pl-3")}>
                    <p className="flex items-baseline justify-between gap-3">
                      <span className="font-medium">Version {version.version} {!version.enabled && <Badge>Off</Badge>}</span>
                      <span className="text-[0.8125rem] text-faint"><Time at={version.changed_at} /></span>
                    </p>
                    <p className="text-[0.875rem] break-words text-soft">by <ActorName actor={version.changed_by} /></p>
                    <Button small variant="quiet" className="mt-1.5 -ml-2.5" onClick={() => setChosen(version.version)}>Show<span className="sr-only"> version {version.version}</span></Button>
                  </li>
                ))}
              </ol>
              <LoadMore query={versions} />
            </div>
            {shown && <Version version={shown} before={before} current={policy.version} onRestore={onRestore} />}
          </div>
        );
      }}
    </QueryView>
  );
}

function Version({ version, before, current, onRestore }: { version: AccessPolicyVersion; before: AccessPolicyVersion | null; current: number; onRestore: (text: string, version: number) => void }) {
  const denied = useDenied("policies:write");
  const lines = before ? lineDiff(before.text, version.text) : [];
  const said = before ? changes(before, version) : [];
  return (
    <section aria-label={`Version ${version.version}`} className="min-w-0">
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h2 className="font-serif text-[1.375rem] leading-tight font-medium tracking-tight">Version {version.version}: {version.name}</h2>
        {version.version !== current && <Button small reason={denied} onClick={() => onRestore(version.text, version.version)}>Put its text into the editor</Button>}
      </div>
      {said.length > 0 && <p className="mt-1 text-soft">{said.join(", ")}.</p>}
      {lines.length > 0 ? (
        <div data-diff className="mt-4 border-y border-rule">{diffRows(lines).map((row, index) => <DiffLineRow key={index} row={row} mono />)}</div>
      ) : (
        <pre className="figure mt-4 overflow-x-auto rounded-[5px] bg-sunken px-4 py-3 text-[0.8125rem]">{version.text}</pre>
      )}
    </section>
  );
}

/** What changed beside the text. */
function changes(before: AccessPolicyVersion, after: AccessPolicyVersion): string[] {
  const said: string[] = [];
  if (before.name !== after.name) said.push(`renamed from “${before.name}”`);
  if (before.description !== after.description) said.push("another description");
  if (before.enabled !== after.enabled) said.push(after.enabled ? "switched on" : "switched off");
  return said;
}
