"use client";

import type { Money, Usage } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import dynamic from "next/dynamic";
import { useState } from "react";

import { usageQuery } from "@/data/calls/queries";
import { formatCompact, formatCount, formatDuration, formatMoneyList } from "@/lib/format";
import { PageHeader } from "@/ui/page-header";
import { Bone, EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Segmented } from "@/ui/segmented";

import { CacheUsageSection } from "./cache-usage-section";
import { ModelTabs } from "./model-tabs";
import type { UsageMeasure } from "./usage-chart";

const UsageChart = dynamic(() => import("./usage-chart").then((module) => module.UsageChart), {
  ssr: false,
  loading: () => <div className="h-72 animate-breathe"><Bone className="h-full w-full opacity-40" /></div>,
});

type Days = "7" | "30" | "90";

const DAYS: { value: Days; label: string }[] = [
  { value: "7", label: "7 days" },
  { value: "30", label: "30 days" },
  { value: "90", label: "90 days" },
];

const MEASURES: { value: UsageMeasure; label: string }[] = [
  { value: "tokens", label: "Tokens" },
  { value: "calls", label: "Calls" },
];

export function UsagePage() {
  const [days, setDays] = useState<Days>("30");
  const usage = useQuery(usageQuery(Number(days)));
  return (
    <>
      <PageHeader title="Usage" lead="What the models were asked to do, and what it cost." actions={<Segmented label="Period" value={days} options={DAYS} onChange={setDays} />} />
      <ModelTabs current="/models/usage/" />
      <QueryView
        query={usage}
        loading={<SkeletonRows tall />}
        isEmpty={(data) => data.models.length === 0}
        empty={<EmptyState title="No model was called in this time">Ask a question, write a draft, or call the API. Every call is counted here.</EmptyState>}
      >
        {(data) => <UsageView usage={data} />}
      </QueryView>
      <CacheUsageSection days={Number(days)} />
    </>
  );
}

function UsageView({ usage }: { usage: Usage }) {
  const [measure, setMeasure] = useState<UsageMeasure>("tokens");
  const sum = (pick: (day: Usage["days"][number]) => number) => usage.days.reduce((total, day) => total + pick(day), 0);
  return (
    <>
      <dl className="grid grid-cols-2 border-y border-rule-strong sm:grid-cols-4 lg:divide-x lg:divide-rule">
        <Total name="Calls" value={formatCompact(sum((day) => day.calls))} note={`${formatCount(sum((day) => day.failed))} failed`} />
        <Total name="Tokens read" value={formatCompact(sum((day) => day.input_tokens))} />
        <Total name="Tokens written" value={formatCompact(sum((day) => day.output_tokens))} />
        <Total name="Cost" value={formatMoneyList(addUp(usage.days.flatMap((day) => day.cost)))} note="where a price is known" />
      </dl>
      <section aria-labelledby="by-day" className="mt-10">
        <div className="mb-3 flex flex-wrap items-end justify-between gap-3">
          <h2 id="by-day" className="font-serif text-[1.375rem] font-medium tracking-tight">By day</h2>
          <Segmented small label="Show" value={measure} options={MEASURES} onChange={setMeasure} />
        </div>
        <UsageChart days={usage.days} measure={measure} />
        <details className="mt-2">
          <summary className="text-[0.875rem] text-soft">The same as a table</summary>
          <DayTable usage={usage} />
        </details>
      </section>
      <section aria-labelledby="by-model" className="mt-12">
        <h2 id="by-model" className="mb-2 font-serif text-[1.375rem] font-medium tracking-tight">By model</h2>
        <table className="ledger stack">
          <thead>
            <tr><th>Model</th><th className="num">Calls</th><th className="num">Read</th><th className="num">Written</th><th className="num">Mean time</th><th className="num">Cost</th></tr>
          </thead>
          <tbody>
            {usage.models.map((model) => (
              <tr key={model.model}>
                <td className="figure font-medium break-all">{model.model}</td>
                <td className="num" data-label="Calls">{formatCount(model.calls)}</td>
                <td className="num" data-label="Read">{formatCount(model.input_tokens)}</td>
                <td className="num" data-label="Written">{formatCount(model.output_tokens)}</td>
                <td className="num" data-label="Mean time">{formatDuration(model.duration_ms_mean)}</td>
                <td className="num" data-label="Cost">{formatMoneyList(model.cost)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}

function Total({ name, value, note }: { name: string; value: string; note?: string }) {
  return (
    <div className="py-4 lg:px-5 lg:first:pl-0">
      <dt className="eyebrow">{name}</dt>
      <dd className="mt-0.5 font-serif text-[1.875rem] leading-tight tracking-[-0.02em] break-words tabular-nums">{value}</dd>
      {note && <dd className="text-[0.8125rem] text-faint">{note}</dd>}
    </div>
  );
}

function DayTable({ usage }: { usage: Usage }) {
  return (
    <div className="mt-2 max-h-96 overflow-auto">
      <table className="ledger">
        <thead><tr><th>Day</th><th className="num">Calls</th><th className="num">Failed</th><th className="num">Read</th><th className="num">Written</th><th className="num">Cost</th></tr></thead>
        <tbody>
          {usage.days.map((day) => (
            <tr key={day.day}>
              <td className="whitespace-nowrap">{day.day}</td>
              <td className="num">{formatCount(day.calls)}</td>
              <td className="num">{formatCount(day.failed)}</td>
              <td className="num">{formatCount(day.input_tokens)}</td>
              <td className="num">{formatCount(day.output_tokens)}</td>
              <td className="num">{formatMoneyList(day.cost)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Sums within each currency, never across. */
function addUp(costs: Money[]): Money[] {
  const sums = new Map<string, number>();
  for (const cost of costs) sums.set(cost.currency, (sums.get(cost.currency) ?? 0) + cost.amount_micros);
  return [...sums].map(([currency, amount_micros]) => ({ amount_micros, currency }));
}
