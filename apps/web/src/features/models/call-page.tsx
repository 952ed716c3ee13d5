"use client";

import type { ModelCall } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import type { ReactNode } from "react";

import { callQuery } from "@/data/calls/queries";
import { ActorName } from "@/features/identity/actor-name";
import { TeamName } from "@/features/identity/team-name";
import { formatCount, formatDateTime, formatDuration, formatMoney } from "@/lib/format";
import { useParam } from "@/lib/use-param";
import { Badge } from "@/ui/badge";
import { Message } from "@/ui/message";
import { MissingId } from "@/ui/missing-id";
import { PageHeader } from "@/ui/page-header";
import { Bone, QueryView, SkeletonRows } from "@/ui/query-view";

import { CacheHitNote } from "./cache-hit";
import { QualitySection } from "./call-quality";
import { CALL_PURPOSES, CALL_STATUSES } from "./model-labels";
import { PayloadSection } from "./payload-section";
import { promptHref } from "./prompt-text";
import { STRATEGIES } from "./route-strategies";

export function CallPage() {
  const id = useParam("id");
  if (!id) return <MissingId what="model call" href="/models/calls/" back="All calls" />;
  return <LoadedCall key={id} id={id} />;
}

function LoadedCall({ id }: { id: string }) {
  const call = useQuery(callQuery(id));
  return (
    <QueryView query={call} loading={<div><Bone className="mb-10 h-10 w-1/2" /><SkeletonRows /></div>}>
      {(data) => <CallView call={data} />}
    </QueryView>
  );
}

function CallView({ call }: { call: ModelCall }) {
  const status = CALL_STATUSES[call.status];
  const writingMs = call.first_token_ms === null ? null : call.duration_ms - call.first_token_ms;
  const speed = writingMs !== null && writingMs > 0 && call.output_tokens > 1 ? ((call.output_tokens - 1) / writingMs) * 1000 : null;
  return (
    <>
      <PageHeader
        back={{ href: "/models/calls/", label: "Calls" }}
        title={CALL_PURPOSES[call.purpose] === "API" ? "API call" : `${CALL_PURPOSES[call.purpose]} call`}
        lead={<p className="flex flex-wrap items-baseline gap-x-3 gap-y-1"><Badge tone={status.tone}>{status.label}</Badge><span className="figure break-all">{call.model}</span><span className="text-faint">{formatDateTime(call.created_at)}</span></p>}
      />
      {call.error && <p role="alert" className="mb-8 rounded-[5px] border-l-3 border-bad bg-bad-soft px-4 py-3"><Message text={call.error} /></p>}
      {call.cache && <CacheHitNote hit={call.cache} />}
      <Timeline call={call} />
      <Attempts call={call} />
      <Choice call={call} />
      <QualitySection call={call} />
      <dl className="mt-10 grid gap-x-12 border-t border-rule-strong sm:grid-cols-2">
        <Fact name="Tokens read">{formatCount(call.input_tokens)}<Among parts={[[call.cached_input_tokens, "from cache"], [call.cache_write_tokens, "to cache"]]} /></Fact>
        <Fact name="Tokens written">{formatCount(call.output_tokens)}<Among parts={[[call.reasoning_tokens, "thought"]]} /></Fact>
        <Fact name="Cost">{call.cost ? formatMoney(call.cost) : "no price is known for this model"}</Fact>
        <Fact name="Writing speed">{speed === null ? "—" : `${speed.toFixed(1)} tokens a second`}</Fact>
        {call.prompt && <Fact name="Prompt"><Link className="link figure text-[0.875rem] break-all" href={`${promptHref(call.prompt.name)}&version=${call.prompt.version}`}>{call.prompt.name}@{call.prompt.version}</Link></Fact>}
        <Fact name="Called by"><ActorName actor={call.actor} /></Fact>
        {call.team && <Fact name="Team"><TeamName id={call.team} /></Fact>}
        <Fact name="Answer">{call.kind === "embedding" ? "vectors" : call.kind === "image" ? "pictures" : call.kind === "speech" ? "a recording" : call.kind === "rerank" ? "scores" : call.streamed ? "streamed" : "in one piece"}</Fact>
        <Fact name="Call id"><span className="figure text-[0.875rem] break-all">{call.id}</span></Fact>
      </dl>
      {call.kind === "chat" && <PayloadSection callId={call.id} />}
    </>
  );
}

/** Where the time went: waiting, reading, writing. */
function Timeline({ call }: { call: ModelCall }) {
  const first = call.first_token_ms;
  const queued = Math.min(call.queued_ms, first ?? call.duration_ms);
  const parts = [
    { name: "Waited", ms: queued, className: "bg-rule-strong" },
    first === null
      ? { name: "Worked", ms: call.duration_ms - queued, className: "bg-accent" }
      : { name: "Read", ms: first - queued, className: "bg-accent" },
    first !== null && { name: "Wrote", ms: call.duration_ms - first, className: "bg-(--chart-2)" },
  ].filter((part) => part !== false).map((part) => ({ ...part, ms: Math.max(0, part.ms) }));
  const total = Math.max(1, call.duration_ms);
  return (
    <section aria-label="Where the time went">
      <p className="font-serif text-[2.25rem] leading-none tracking-[-0.02em] tabular-nums">{formatDuration(call.duration_ms)}</p>
      <div aria-hidden className="mt-4 flex h-3 gap-px overflow-hidden rounded-[3px] bg-rule">
        {parts.map((part) => <div key={part.name} className={part.className} style={{ width: `${(part.ms / total) * 100}%` }} />)}
      </div>
      <ul className="mt-2.5 flex flex-wrap gap-x-7 gap-y-1 text-[0.875rem]">
        {parts.map((part) => (
          <li key={part.name} className="flex items-center gap-2"><span aria-hidden className={`size-2.5 rounded-[2px] ${part.className}`} />{part.name} <span className="text-soft tabular-nums">{formatDuration(part.ms)}</span></li>
        ))}
      </ul>
    </section>
  );
}

/** Who was asked in turn, when it was not simply one who answered. */
function Attempts({ call }: { call: ModelCall }) {
  if (call.attempts.length === 0) return null;
  return (
    <section className="mt-10">
      <h2 className="font-serif text-[1.25rem] font-medium tracking-tight">Attempts</h2>
      <ol className="mt-3 border-t border-rule-strong">
        {call.attempts.map((attempt, index) => (
          <li key={index} className="border-b border-rule py-3">
            <p className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
              <Badge tone={attempt.error === null ? "good" : "bad"}>{attempt.error === null ? "answered" : "failed"}</Badge>
              <span className="figure break-all">{attempt.model}</span>
              <span className="text-faint tabular-nums">after {formatDuration(attempt.started_ms)}, took {formatDuration(attempt.duration_ms)}</span>
            </p>
            {attempt.message && <p className="mt-1 text-[0.875rem] text-soft"><Message text={attempt.message} /></p>}
          </li>
        ))}
      </ol>
    </section>
  );
}

/** How a route ordered its candidates. */
function Choice({ call: { decision } }: { call: ModelCall }) {
  if (!decision) return null;
  return (
    <section className="mt-10">
      <h2 className="font-serif text-[1.25rem] font-medium tracking-tight">How the route <span className="figure">{decision.route}</span> chose: {STRATEGIES[decision.strategy].label.toLowerCase()}</h2>
      <ol className="mt-3 border-t border-rule-strong">
        {decision.candidates.map((candidate) => (
          <li key={candidate.model} className="flex flex-wrap items-baseline justify-between gap-x-6 gap-y-1 border-b border-rule py-3">
            <span className={candidate.eligible ? "figure break-all" : "figure break-all text-faint line-through"}>{candidate.model}</span>
            <span className="text-[0.875rem] text-soft">{candidate.reason}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** Those parts of a number that are not zero. */
function Among({ parts }: { parts: [number, string][] }) {
  const texts = parts.filter(([count]) => count > 0).map(([count, what]) => `${formatCount(count)} ${what}`);
  return texts.length > 0 && <span className="text-faint"> ({texts.join(", ")})</span>;
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex items-baseline justify-between gap-6 border-b border-rule py-3">
      <dt className="shrink-0 text-soft">{name}</dt>
      <dd className="min-w-0 text-right tabular-nums">{children}</dd>
    </div>
  );
}
