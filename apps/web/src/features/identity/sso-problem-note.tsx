"use client";

import { Suspense } from "react";

import { useParam } from "@/lib/use-param";

import { signInProblem } from "./sso-problems";

/** Why the identity provider's sign-in did not work, when the address says so. */
export function SsoProblemNote({ className }: { className?: string }) {
  return <Suspense><Note className={className} /></Suspense>;
}

function Note({ className }: { className?: string }) {
  const problem = signInProblem(useParam("problem"));
  if (!problem) return null;
  return (
    <div role="alert" className={className}>
      <div className="rounded-[5px] border-l-3 border-bad bg-bad-soft px-4 py-3 text-ink">
        <p className="font-medium">{problem.title}</p>
        <p className="mt-0.5">{problem.detail}</p>
        <p className="mt-1.5 text-soft">{problem.remedy}</p>
      </div>
    </div>
  );
}
