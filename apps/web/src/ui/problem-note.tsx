"use client";

import { asProblem } from "@plasma/client/problem";
import type { ReactNode } from "react";

import { cx } from "./cx";
import { Message } from "./message";

/** What went wrong and what to do about it, in the server's own words. */
export function ProblemNote({ error, action, className }: { error: unknown; action?: ReactNode; className?: string }) {
  const problem = asProblem(error);
  return (
    <div role="alert" className={cx("rounded-[5px] border-l-3 border-bad bg-bad-soft px-4 py-3 text-ink", className)}>
      <p className="font-medium">{problem.title}</p>
      <p className="mt-0.5"><Message text={problem.detail} /></p>
      {problem.remedy && <p className="mt-1.5 text-soft"><Message text={problem.remedy} /></p>}
      {(action || problem.request_id) && (
        <div className="mt-2.5 flex flex-wrap items-center gap-x-4 gap-y-1">
          {action}
          {problem.request_id && <span className="figure text-xs break-all text-soft">{problem.request_id}</span>}
        </div>
      )}
    </div>
  );
}
