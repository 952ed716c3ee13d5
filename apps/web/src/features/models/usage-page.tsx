"use client";

import type { UsageDimension, UsageLine, UsageSums, UsageTable } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import dynamic from "next/dynamic";
import { useMemo, useState, type ReactNode } from "react";

import { budgetsQuery } from "@/data/budgets/queries";
import { usageCsvHref, usageTableQuery } from "@/data/usage/queries";
import { TeamField } from "@/features/identity/team-field";
import { formatCompact, formatCount, formatDuration, formatMoneyList, plural } from "@/lib/format";
import { buttonClass } from "@/ui/button";
import { SelectField } from "@/ui/field";
import { PageHeader, Section } from "@/ui/page-header";
import { Bone, EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Segmented } from "@/ui/segmented";

import { BudgetBar } from "./budget-bar";
import { CacheUsageSection } from "./cache-usage-section";
import { ModelTabs } from "./model-tabs";
import { daysOf, lastDays, RangePicker, type Range } from "./usage-range";
import { mainCurrency, memberName, usageSeries, type UsageMeasure, type UsageSplit } from "./usage-series";

const UsageChart = dynamic(() => import("./usage-chart").then((module) => module.UsageChart), {
  ssr: false,
  loading: () => <div className="h-72 animate-breathe"><Bone className="h-full w-full opacity-40" /></div>,
});

const MEASURES: { value: UsageMeasure; label: string }[] = [
  { value: "tokens", label: "Tokens" },
  { value: "cost", label: "Cost" },
  { value: "calls", label: "Calls" },
];

const SPLITS: Record<UsageSplit, string> = {
  none: "nothing",
  model: "model",
  provider: "provider",
  key: "API key",
  user: "person",
  team: "team",
  route: "route",
};

/** Whose calls of which days are shown. */
type Scope = Range & { team?: string };

/** Groups that a page's tables show. */
const ROWS_MAX = 50;
const TOP_KEYS = 5;
/** As many as the server gives: fewer would leave days off the chart. */
const CHART_LINES_MAX = 10_000;

export function UsagePage() {
  const [range, setRange] = useState<Range>(() => lastDays(30, Date.now()));
  const [team, setTeam] = useState("");
  const [split, setSplit] = useState<UsageSplit>("model");
  const scope = useMemo<Scope>(() => ({ ...range, ...(team && { team }) }), [range, team]);
  const dimension: UsageDimension[] = split === "none" ? [] : [split];
  const groups = useQuery(usageTableQuery({ ...scope, groupBy: split === "none" ? ["model"] : dimension, limit: ROWS_MAX }));
  const download = (
    <a href={usageCsvHref({ ...scope, groupBy: ["day", ...dimension], limit: CHART_LINES_MAX })} download className={buttonClass()}>
      <Download aria-hidden className="size-4" /> CSV
    </a>
  );
  return (
    <>
      <PageHeader title="Usage" lead="What the models were asked to do, what it cost, how long it took, and what failed." actions={download} />
      <ModelTabs current="/models/usage/" />
      <div className="mb-6 flex flex-wrap items-end justify-between gap-4">
        <RangePicker range={range} onChange={setRange} />
        <div className="flex flex-wrap items-end gap-4">
          <TeamField className="w-44" none="all calls" value={team} onChange={setTeam} />
          <SelectField className="w-44" label="Told apart by" value={split} onChange={(event) => setSplit(event.target.value as UsageSplit)}>
            {Object.entries(SPLITS).map(([value, label]) => <option key={value} value={value}>{label}</option>)}
          </SelectField>
        </div>
      </div>
      <QueryView
        query={groups}
        loading={<SkeletonRows tall />}
        isEmpty={(data) => data.total.calls === 0}
        empty={<EmptyState title={team ? "No call was counted to this team in this time" : "No model was called in this time"}>Ask a question, write a draft, or call the API. Every call is counted here.</EmptyState>}
      >
        {(data) => (
          <>
            <Totals sums={data.total} />
            <ByDay scope={scope} split={split} />
            <Section title={`By ${split === "none" ? "model" : SPLITS[split]}`}><GroupTable table={data} split={split === "none" ? "model" : split} /></Section>
            {split !== "key" && <TopKeys scope={scope} />}
          </>
        )}
      </QueryView>
      <Budgets />
      <CacheUsageSection days={daysOf(range).length} />
    </>
  );
}

function percent(part: number, whole: number): string {
  const share = whole === 0 ? 0 : (part / whole) * 100;
  return `${share === 0 || share >= 10 ? Math.round(share) : share.toFixed(1)}%`;
}

function maybeDuration(milliseconds: number | null): string {
  return milliseconds === null ? "—" : formatDuration(milliseconds);
}

function Totals({ sums }: { sums: UsageSums }) {
  const unpriced = sums.unpriced_calls > 0 ? `without ${plural(sums.unpriced_calls, "call")} of unknown cost` : "of all calls";
  return (
    <dl className="grid grid-cols-2 border-y border-rule-strong sm:grid-cols-3 lg:grid-cols-6 lg:divide-x lg:divide-rule">
      <Total name="Cost" value={formatMoneyList(sums.cost)} note={unpriced} />
      <Total name="Calls" value={formatCompact(sums.calls)} />
      <Total name="Failed" value={percent(sums.failed, sums.calls)} note={plural(sums.failed, "call")} />
      <Total name="Tokens read" value={formatCompact(sums.input_tokens)} note={sums.cached_input_tokens > 0 && `${percent(sums.cached_input_tokens, sums.input_tokens)} from cache`} />
      <Total name="Tokens written" value={formatCompact(sums.output_tokens)} />
      <Total name="95 of 100 calls" value={maybeDuration(sums.duration_ms_p95)} note={sums.first_token_ms_p95 !== null && `first token ${formatDuration(sums.first_token_ms_p95)}`} />
    </dl>
  );
}

function Total({ name, value, note }: { name: string; value: string; note?: ReactNode }) {
  return (
    <div className="py-4 lg:px-5 lg:first:pl-0">
      <dt className="eyebrow">{name}</dt>
      <dd className="mt-0.5 font-serif text-[1.75rem] leading-tight tracking-[-0.02em] break-words tabular-nums">{value}</dd>
      {note && <dd className="text-[0.8125rem] text-faint">{note}</dd>}
    </div>
  );
}

function ByDay({ scope, split }: { scope: Scope; split: UsageSplit }) {
  const [measure, setMeasure] = useState<UsageMeasure>("tokens");
  const byDay = useQuery(usageTableQuery({ ...scope, groupBy: split === "none" ? ["day"] : ["day", split], limit: CHART_LINES_MAX }));
  return (
    <Section title="By day" actions={<Segmented small label="Show" value={measure} options={MEASURES} onChange={setMeasure} />}>
      <QueryView query={byDay} loading={<div className="h-72 animate-breathe"><Bone className="h-full w-full opacity-40" /></div>}>
        {(data) => <DayChart table={data} range={scope} split={split} measure={measure} />}
      </QueryView>
    </Section>
  );
}

function DayChart({ table, range, split, measure }: { table: UsageTable; range: Range; split: UsageSplit; measure: UsageMeasure }) {
  const currency = mainCurrency(table.total);
  const days = useMemo(() => daysOf(range), [range]);
  const series = useMemo(() => usageSeries(table.data, days, split, measure, currency), [table, days, split, measure, currency]);
  const others = table.total.cost.filter((cost) => cost.currency !== currency);
  return (
    <>
      <UsageChart days={days} series={series} measure={measure} currency={currency} />
      {measure === "cost" && others.length > 0 && <p className="mt-2 text-[0.875rem] text-soft">In {currency} only; {formatMoneyList(others)} were spent besides.</p>}
      {table.has_more && <p className="mt-2 text-[0.875rem] text-warn">There are too many groups for the chart: the last days are not complete.</p>}
      <details className="mt-2">
        <summary className="text-[0.875rem] text-soft">The same as a table</summary>
        <DayTable lines={table.data} split={split} />
      </details>
    </>
  );
}

/** Rows that a page can hold without becoming slow; the CSV has them all. */
const DAY_ROWS_MAX = 500;

function DayTable({ lines, split }: { lines: UsageLine[]; split: UsageSplit }) {
  return (
    <div className="mt-2 max-h-96 overflow-auto">
      <table className="ledger">
        <thead><tr><th>Day</th>{split !== "none" && <th className="first-letter:uppercase">{SPLITS[split]}</th>}<th className="num">Calls</th><th className="num">Failed</th><th className="num">Read</th><th className="num">Written</th><th className="num">Cost</th></tr></thead>
        <tbody>
          {lines.slice(0, DAY_ROWS_MAX).map((line) => (
            <tr key={`${line.day} ${memberId(line, split)}`}>
              <td className="whitespace-nowrap">{line.day}</td>
              {split !== "none" && <td className="break-all">{memberName(line, split)}</td>}
              <td className="num">{formatCount(line.calls)}</td>
              <td className="num">{formatCount(line.failed)}</td>
              <td className="num">{formatCount(line.input_tokens)}</td>
              <td className="num">{formatCount(line.output_tokens)}</td>
              <td className="num">{formatMoneyList(line.cost)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {lines.length > DAY_ROWS_MAX && <p className="py-2 text-[0.875rem] text-soft">The first {DAY_ROWS_MAX} of {formatCount(lines.length)} rows. The CSV has them all.</p>}
    </div>
  );
}

/** What is unique of a group: names may not be. */
function memberId(line: UsageLine, split: UsageSplit): string {
  return (split === "none" ? null : line[split]) ?? "";
}

function GroupTable({ table, split }: { table: UsageTable; split: Exclude<UsageSplit, "none"> }) {
  return (
    <>
      <table className="ledger stack">
        <thead>
          <tr>
            <th className="first-letter:uppercase">{SPLITS[split]}</th>
            <th className="num">Calls</th><th className="num">Failed</th><th className="num">Read</th><th className="num">Written</th>
            <th className="num">Median</th><th className="num">95 of 100</th><th className="num">First token, 95 of 100</th><th className="num">Cost</th>
          </tr>
        </thead>
        <tbody>
          {table.data.map((line) => (
            <tr key={memberId(line, split)}>
              <td className="font-medium break-all">{memberName(line, split)}</td>
              <td className="num" data-label="Calls">{formatCount(line.calls)}</td>
              <td className="num" data-label="Failed">{percent(line.failed, line.calls)}</td>
              <td className="num" data-label="Read">{formatCount(line.input_tokens)}</td>
              <td className="num" data-label="Written">{formatCount(line.output_tokens)}</td>
              <td className="num" data-label="Median">{maybeDuration(line.duration_ms_p50)}</td>
              <td className="num" data-label="95 of 100">{maybeDuration(line.duration_ms_p95)}</td>
              <td className="num" data-label="First token, 95 of 100">{maybeDuration(line.first_token_ms_p95)}</td>
              <td className="num" data-label="Cost">{formatMoneyList(line.cost)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {table.has_more && <p className="mt-2 text-[0.875rem] text-soft">The {ROWS_MAX} with most calls. The CSV has them all.</p>}
    </>
  );
}

function TopKeys({ scope }: { scope: Scope }) {
  // One more line than keys: calls without a key are a group, too.
  const keys = useQuery(usageTableQuery({ ...scope, groupBy: ["key"], limit: TOP_KEYS + 1 }));
  return (
    <Section title="Keys that call most">
      <QueryView
        query={keys}
        isEmpty={(data) => data.data.every((line) => line.key === null)}
        empty={<p className="text-soft">No call was made with an API key in this time.</p>}
      >
        {(data) => <GroupTable table={{ ...data, has_more: false, data: data.data.filter((line) => line.key !== null).slice(0, TOP_KEYS) }} split="key" />}
      </QueryView>
    </Section>
  );
}

function Budgets() {
  const budgets = useQuery(budgetsQuery);
  if (!budgets.data || budgets.data.length === 0) return null;
  return (
    <Section title="Budgets" lead="What is spent of them in their current periods.">
      <ul className="grid gap-x-12 border-t border-rule-strong sm:grid-cols-2">
        {budgets.data.map((budget) => <li key={budget.id} className="border-b border-rule py-5"><BudgetBar budget={budget} /></li>)}
      </ul>
    </Section>
  );
}
