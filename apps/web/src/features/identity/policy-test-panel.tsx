"use client";

import type { AccessPolicyTest, TestedRequest } from "@plasma/client/types";
import type { UseQueryResult } from "@tanstack/react-query";

import { plural } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Message } from "@/ui/message";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { ActorName } from "./actor-name";
import { PolicyMatches } from "./policy-matches";

/** What the text would change about the requests of the last time. */
export function PolicyTestPanel({ query, waiting, empty }: { query: UseQueryResult<AccessPolicyTest>; waiting: boolean; empty: boolean }) {
  return (
    <section aria-label="What it would change" className="min-w-0">
      <h2 className="font-serif text-[1.375rem] leading-tight font-medium tracking-tight">What it would change</h2>
      {empty ? (
        <p className="mt-2 text-soft">Write a statement, and recent requests are decided with it here. Nothing changes by that.</p>
      ) : (
        <div className={waiting ? "opacity-60" : undefined} aria-busy={waiting}>
          <QueryView query={query} loading={<SkeletonRows rows={2} />}>{(test) => <Outcome test={test} />}</QueryView>
        </div>
      )}
    </section>
  );
}

function Outcome({ test }: { test: AccessPolicyTest }) {
  if (test.problems.some((problem) => problem.is_error)) return <p className="mt-2 text-soft">There are mistakes in the text. It is tried out when they are mended.</p>;
  return (
    <>
      {test.refusal !== null && <p role="alert" className="mt-3 rounded-[5px] border-l-3 border-bad bg-bad-soft px-4 py-3"><Message text={`It would be refused: ${test.refusal}`} /></p>}
      <p className="mt-2 text-soft">
        {test.examined === 0 ? "This process has decided no request yet that it could be tried out on." : (
          <>Of {plural(test.examined, "different request")}{test.since !== null && <> since <Time at={test.since} /></>}, <span className="font-medium text-bad">{test.newly_refused} would be refused</span> that were allowed, and <span className="font-medium text-good">{test.newly_allowed} allowed</span> that were refused.</>
        )}
      </p>
      {test.changes.length > 0 && (
        <ul data-policy-changes className="mt-4 border-t border-rule-strong">
          {test.changes.map((request, index) => <Change key={index} request={request} />)}
        </ul>
      )}
    </>
  );
}

function Change({ request }: { request: TestedRequest }) {
  return (
    <li className="border-b border-rule py-3">
      <p className="flex flex-wrap items-baseline gap-x-2">
        <Badge tone={request.allowed ? "good" : "bad"}>{request.allowed ? "Allowed" : "Refused"}</Badge>
        <span className="font-medium break-words">{request.name ?? <ActorName actor={request.principal} />}</span>
        <span className="figure text-[0.8125rem]">{request.action}</span>
      </p>
      <p className="figure mt-1 text-[0.8125rem] break-all text-soft">{request.method} {request.path}</p>
      <p className="text-[0.8125rem] text-faint">{plural(request.count, "time")}, last <Time at={request.last_at} />, from {request.address}</p>
      {request.policies.length > 0 && <details className="mt-1 text-[0.875rem]"><summary className="cursor-pointer text-soft">By which statement</summary><PolicyMatches policies={request.policies} className="mt-1" /></details>}
    </li>
  );
}
