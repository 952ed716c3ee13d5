"use client";

import { Suspense } from "react";

import { useParam } from "@/lib/use-param";
import { buttonClass } from "@/ui/button";

import { safeNextPath } from "./next-path";
import { signInProblem } from "./sso-problems";

/** Why the identity provider's sign-in did not work, when the address says so. */
export function SsoProblemNote({ className }: { className?: string }) {
  return <Suspense><Problem className={className} /></Suspense>;
}

function Problem({ className }: { className?: string }) {
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

/** Where a login by a connection begins; a link, for the browser leaves this site. */
export function singleSignOnPath(connection: string, next: string): string {
  return `/api/v1/auth/sso/${encodeURIComponent(connection)}/start?next=${encodeURIComponent(next)}`;
}

/** Another site has sent somebody here to sign in by a connection: they say themselves that they want this. */
export function SsoContinue({ className }: { className?: string }) {
  return <Suspense><Continue className={className} /></Suspense>;
}

function Continue({ className }: { className?: string }) {
  const connection = useParam("connection");
  const next = safeNextPath(useParam("next"));
  if (!connection || !/^conn_[0-9a-z]{26}$/.test(connection)) return null;
  return (
    <div className={className}>
      <p className="mb-2 text-soft">Another site has sent you here to sign in with your organization.</p>
      <a className={buttonClass("primary", false, "w-full")} href={singleSignOnPath(connection, next)}>Go on with single sign-on</a>
    </div>
  );
}
