"use client";

import type { QualityScores } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { qualityScoresQuery } from "@/data/quality/queries";
import { formatCount } from "@/lib/format";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Segmented } from "@/ui/segmented";

import { SCORE_SOURCES } from "./model-labels";
import { ModelTabs } from "./model-tabs";
import { QualitySettingsSection } from "./quality-settings";
import { formatScore } from "./scores";

type Group = "model" | "route" | "task";
type Days = "7" | "30" | "90";

const GROUPS: { value: Group; label: string }[] = [
  { value: "model", label: "By model" },
  { value: "route", label: "By route" },
  { value: "task", label: "By task" },
];

const DAYS: { value: Days; label: string }[] = [
  { value: "7", label: "7 days" },
  { value: "30", label: "30 days" },
  { value: "90", label: "90 days" },
];

export function QualityPage() {
  const [group, setGroup] = useState<Group>("model");
  const [days, setDays] = useState<Days>("30");
  const scores = useQuery(qualityScoresQuery(group === "model" ? "model,source" : `${group},model,source`, Number(days)));
  return (
    <>
      <PageHeader title="Quality" lead="How good answers are: by rules that look at their form, by a model that judges a sample, and by people." actions={<Segmented label="Period" value={days} options={DAYS} onChange={setDays} />} />
      <ModelTabs current="/models/quality/" />
      <div className="mb-4"><Segmented small label="Sum up" value={group} options={GROUPS} onChange={setGroup} /></div>
      <QueryView
        query={scores}
        loading={<SkeletonRows rows={6} />}
        isEmpty={(data) => data.length === 0}
        empty={<EmptyState title="No answer was scored in this time">Call a chat model. Rules mark every answer, and people rate answers on the page of the call.</EmptyState>}
      >
        {(data) => <ScoresTable group={group} scores={data} />}
      </QueryView>
      <QualitySettingsSection />
    </>
  );
}

function ScoresTable({ group, scores }: { group: Group; scores: QualityScores[] }) {
  const sorted = [...scores].sort((a, b) => nameOf(group, a).localeCompare(nameOf(group, b)) || (a.model ?? "").localeCompare(b.model ?? "") || (a.source ?? "").localeCompare(b.source ?? ""));
  return (
    <table className="ledger stack">
      <thead>
        <tr>
          {group !== "model" && <th>{group === "route" ? "Route" : "Task"}</th>}
          <th>Model</th><th>Scored by</th><th className="num">Scores</th><th className="num">Mean</th><th className="num">95% interval</th>
        </tr>
      </thead>
      <tbody>
        {sorted.map((row) => (
          <tr key={`${row.route ?? ""}|${row.task ?? ""}|${row.model ?? ""}|${row.source ?? ""}`}>
            {group !== "model" && <td className="figure break-all">{nameOf(group, row)}</td>}
            <td className="figure font-medium break-all">{row.model}</td>
            <td data-label="Scored by">{row.source && SCORE_SOURCES[row.source]}</td>
            <td className="num" data-label="Scores">{formatCount(row.n)}</td>
            <td className="num" data-label="Mean">{formatScore(row.mean)}</td>
            <td className="num" data-label="95% interval"><Interval row={row} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function nameOf(group: Group, row: QualityScores): string {
  if (group === "route") return row.route === "" ? "named by the caller" : (row.route ?? "");
  return (group === "task" ? row.task : row.model) ?? "";
}

/** The interval in figures, and drawn on a line from 0 to 1. */
function Interval({ row }: { row: QualityScores }) {
  const percent = (value: number) => `${(value * 100).toFixed(1)}%`;
  return (
    <span className="inline-flex items-center justify-end gap-3">
      <span aria-hidden className="relative hidden h-2 w-24 rounded-[2px] bg-rule sm:block">
        <span className="absolute inset-y-0 rounded-[2px] bg-accent opacity-50" style={{ left: percent(row.interval_low), width: percent(row.interval_high - row.interval_low) }} />
        <span className="absolute inset-y-0 w-0.5 bg-ink" style={{ left: percent(row.mean) }} />
      </span>
      {formatScore(row.interval_low)} to {formatScore(row.interval_high)}
    </span>
  );
}
