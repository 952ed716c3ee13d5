"use client";

import type { ComplianceControl } from "@plasma/client/types";
import { useId, useState } from "react";

import { Badge } from "@/ui/badge";
import { Message } from "@/ui/message";

import { documentText, notShownText, outcomeOf, testResult } from "./compliance-labels";

/** A requirement; what shows it unfolds below. */
export function ComplianceControlRow({ control }: { control: ComplianceControl }) {
  const [open, setOpen] = useState(false);
  const details = useId();
  const { label, tone } = outcomeOf(control.outcome);
  return (
    <li className="border-b border-rule py-3" data-control={control.id} data-outcome={control.outcome}>
      <div className="flex flex-wrap items-baseline gap-x-4 gap-y-1">
        <button type="button" aria-expanded={open} aria-controls={details} className="link figure min-h-8" onClick={() => setOpen(!open)}>{control.id}</button>
        <span className="min-w-0 flex-1 basis-64">{control.text}</span>
        <Badge tone={tone}>{label}</Badge>
      </div>
      <div id={details} hidden={!open}>{open && <Evidence control={control} />}</div>
    </li>
  );
}

function Evidence({ control }: { control: ComplianceControl }) {
  const notShown = notShownText(control);
  return (
    <div className="mt-3 flex flex-col gap-3 rounded-[5px] bg-sunken px-4 py-3 text-[0.875rem]">
      {notShown && <p className="text-bad">{notShown}</p>}
      {control.reason && <p className="max-w-[72ch]"><Message text={control.reason} /></p>}
      {control.level !== null && <p className="text-soft">Level {control.level}</p>}
      {control.tests.length > 0 && (
        <div>
          <p className="eyebrow mb-1">Tests</p>
          <ul className="flex flex-col gap-1">
            {control.tests.map(({ name, result }) => {
              const told = testResult(result);
              return (
                <li key={name} className="flex flex-wrap items-baseline gap-x-3 gap-y-0.5">
                  <Badge tone={told.tone}>{told.label}</Badge> <span className="figure min-w-0 break-all">{name}</span>
                </li>
              );
            })}
          </ul>
        </div>
      )}
      {control.documents.length > 0 && (
        <div>
          <p className="eyebrow mb-1">Documents</p>
          <ul>{control.documents.map((document) => <li key={documentText(document)} className="break-words">{documentText(document)}</li>)}</ul>
        </div>
      )}
      {control.tests.length + control.documents.length === 0 && <p className="text-soft">Nothing shows it.</p>}
    </div>
  );
}
