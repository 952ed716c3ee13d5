"use client";

import type { BenchmarkModelReport, BenchmarkReport, Estimate } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { caseResultsQuery } from "@/data/benchmarks/queries";
import { formatCount, formatDuration, plural } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Section } from "@/ui/page-header";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { Segmented } from "@/ui/segmented";

import { costPerCase, formatP, formatPoints, formatShare, subjectNames } from "./benchmark-labels";

/** Below this chance two models are usually said to differ. */
const SIGNIFICANT = 0.05;

export function BenchmarkReportView({ report }: { report: BenchmarkReport }) {
  const names = subjectNames(report.models);
  return (
    <>
      <Section title="Quality" lead="The mean score of answered cases. The line is its 95% confidence interval: where two overlap widely, more cases would be needed to tell the models apart.">
        <ul className="border-t border-rule-strong">
          {report.models.map((model, index) => <QualityBar key={index} name={names[index] ?? model.model} model={model} />)}
        </ul>
      </Section>
      <Section title="Speed and cost" lead="Medians, with 95% confidence intervals in small print.">
        <table className="ledger stack">
          <thead>
            <tr><th>Model</th><th className="num">First token</th><th className="num">Tokens a second</th><th className="num">Whole answer</th><th className="num">Cost a case</th><th className="num">Answered</th><th className="num">Failed</th></tr>
          </thead>
          <tbody>
            {report.models.map((model, index) => (
              <tr key={index}>
                <td className="figure font-medium break-all">{names[index]}</td>
                <td className="num" data-label="First token"><Interval estimate={model.first_token_ms} format={formatDuration} /></td>
                <td className="num" data-label="Tokens a second"><Interval estimate={model.tokens_per_second} format={(value) => value.toFixed(1)} /></td>
                <td className="num" data-label="Whole answer"><Interval estimate={model.duration_ms} format={formatDuration} /></td>
                <td className="num" data-label="Cost a case">{costPerCase(model)}</td>
                <td className="num" data-label="Answered">{formatCount(model.answered)}</td>
                <td className="num" data-label="Failed">{formatCount(model.failed)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Section>
      {report.comparisons.length > 0 && <Pairs report={report} names={names} />}
      <Categories report={report} names={names} />
      <Cases report={report} names={names} />
    </>
  );
}

function Interval({ estimate, format }: { estimate: Estimate | null; format: (value: number) => string }) {
  if (!estimate) return "—";
  return <>{format(estimate.value)} <span className="text-[0.8125rem] text-faint">{format(estimate.low)}–{format(estimate.high)}</span></>;
}

function QualityBar({ name, model }: { name: string; model: BenchmarkModelReport }) {
  const { quality } = model;
  const percent = (share: number) => `${share * 100}%`;
  return (
    <li className="border-b border-rule py-4">
      <div className="flex flex-wrap items-baseline justify-between gap-x-6 gap-y-1">
        <span className="figure min-w-0 font-medium break-all">{name}</span>
        <span className="tabular-nums">
          {quality ? <>{formatShare(quality.value)} <span className="text-[0.875rem] text-faint">{formatShare(quality.low)} to {formatShare(quality.high)} of {plural(quality.count, "case")}</span></> : "no answer yet"}
        </span>
      </div>
      {quality && (
        <div aria-hidden className="relative mt-2.5 h-3 rounded-[3px] bg-rule">
          <div className="h-full rounded-[3px] bg-accent" style={{ width: percent(quality.value) }} />
          <div className="absolute top-1/2 h-0.5 -translate-y-1/2 bg-ink" style={{ left: percent(quality.low), width: percent(quality.high - quality.low) }} />
          {[quality.low, quality.high].map((end, index) => <div key={index} className="absolute -top-0.5 h-4 w-0.5 -translate-x-1/2 bg-ink" style={{ left: percent(end) }} />)}
        </div>
      )}
    </li>
  );
}

function Pairs({ report, names }: { report: BenchmarkReport; names: string[] }) {
  return (
    <Section title="Model against model" lead="On the cases that both answered: the difference of their scores in percentage points, and how likely equally good models differ at least so much (McNemar's exact test).">
      <table className="ledger stack">
        <thead>
          <tr><th>Models</th><th className="num">Difference</th><th className="num">Alone right</th><th className="num">Cases</th><th className="num">p</th><th>Verdict</th></tr>
        </thead>
        <tbody>
          {report.comparisons.map((pair) => {
            const better = pair.p_value >= SIGNIFICANT ? null : pair.only_one > pair.only_other ? pair.one : pair.other;
            return (
              <tr key={`${pair.one}-${pair.other}`}>
                <td><span className="figure break-all">{names[pair.one]}</span> <span className="text-faint">and</span> <span className="figure break-all">{names[pair.other]}</span></td>
                <td className="num" data-label="Difference"><Interval estimate={pair.difference} format={formatPoints} /></td>
                <td className="num" data-label="Alone right">{formatCount(pair.only_one)} and {formatCount(pair.only_other)}</td>
                <td className="num" data-label="Cases">{formatCount(pair.difference.count)}</td>
                <td className="num" data-label="p">{formatP(pair.p_value)}</td>
                <td data-label="Verdict">{better === null ? <Badge>no clear difference</Badge> : <Badge tone="good">{names[better]} is better</Badge>}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Section>
  );
}

function Categories({ report, names }: { report: BenchmarkReport; names: string[] }) {
  const categories = [...new Set(report.models.flatMap((model) => model.categories.map((score) => score.category)))].sort();
  if (categories.length === 0) return null;
  return (
    <Section title="By category">
      <table className="ledger stack">
        <thead>
          <tr><th>Category</th>{names.map((name, index) => <th key={index} className="num">{name}</th>)}</tr>
        </thead>
        <tbody>
          {categories.map((category) => (
            <tr key={category}>
              <td className="font-medium first-letter:uppercase">{category}</td>
              {report.models.map((model, index) => (
                <td key={index} className="num" data-label={names[index]}><Interval estimate={model.categories.find((score) => score.category === category)?.quality ?? null} format={formatShare} /></td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  );
}

type Shown = "differ" | "wrong" | "all";

const SHOWN: { value: Shown; label: string }[] = [
  { value: "differ", label: "Where models differ" },
  { value: "wrong", label: "Not passed by all" },
  { value: "all", label: "All" },
];

function Cases({ report, names }: { report: BenchmarkReport; names: string[] }) {
  const [shown, setShown] = useState<Shown>(report.models.length > 1 ? "differ" : "wrong");
  const [open, setOpen] = useState<string | null>(null);
  const runs = [...new Set(report.models.map((model) => model.benchmark))];
  const cases = report.cases.filter(({ scores }) => {
    const given = scores.filter((score) => score !== null);
    if (shown === "all") return true;
    return shown === "differ" ? new Set(given).size > 1 : given.some((score) => score < 1) || given.length < scores.length;
  });
  return (
    <Section title="Cases" actions={<Segmented small label="Cases" value={shown} options={SHOWN} onChange={setShown} />}>
      {cases.length === 0 ? <p className="border-t border-rule pt-4 text-soft">No case is like that.</p> : (
        <ul className="border-t border-rule-strong">
          {cases.map((one) => (
            <li key={one.id} className="border-b border-rule py-3">
              <div className="flex flex-wrap items-baseline justify-between gap-x-6 gap-y-2">
                <button type="button" aria-expanded={open === one.id} className="link figure" onClick={() => setOpen(open === one.id ? null : one.id)}>{one.id}</button>
                <span className="flex flex-wrap gap-x-4 gap-y-1">
                  {one.scores.map((score, index) => (
                    <span key={index} className="text-[0.875rem]"><span className="figure text-faint">{names[index]}</span> <Score score={score} /></span>
                  ))}
                </span>
              </div>
              {open === one.id && runs.map((run) => <CaseAnswers key={run} run={run} name={one.id} />)}
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}

function Score({ score }: { score: number | null }) {
  if (score === null) return <Badge>no answer</Badge>;
  return <Badge tone={score >= 1 ? "good" : score > 0 ? "warn" : "bad"}>{score >= 1 ? "right" : score > 0 ? formatShare(score) : "wrong"}</Badge>;
}

/** What each model of a run answered, loaded when somebody wants to see it. */
function CaseAnswers({ run, name }: { run: string; name: string }) {
  const results = useQuery(caseResultsQuery(run, name));
  return (
    <QueryView query={results} loading={<SkeletonRows rows={1} />} isEmpty={(data) => data.length === 0} empty={<p className="mt-2 text-soft">Not asked yet.</p>}>
      {(data) => (
        <dl className="mt-3 flex flex-col gap-3">
          {data.map((result) => (
            <div key={result.model}>
              <dt className="figure text-[0.875rem] text-faint break-all">{result.model}, {formatDuration(result.duration_ms)}</dt>
              <dd>
                <p className="rounded-[5px] bg-sunken px-3 py-2 text-[0.875rem] break-words whitespace-pre-wrap">{result.error ?? result.answer}</p>
                {result.reason && <p className="mt-1 text-[0.8125rem] text-soft">{result.reason}</p>}
              </dd>
            </div>
          ))}
        </dl>
      )}
    </QueryView>
  );
}
