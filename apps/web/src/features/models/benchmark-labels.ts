import type { Benchmark, BenchmarkModelReport } from "@plasma/client/types";

import { formatMoney } from "@/lib/format";
import type { Tone } from "@/ui/badge";

export const BENCHMARK_STATES: Record<Benchmark["state"], { label: string; tone: Tone }> = {
  queued: { label: "Waiting", tone: "plain" },
  running: { label: "Running", tone: "accent" },
  succeeded: { label: "Complete", tone: "good" },
  failed: { label: "Failed", tone: "bad" },
  cancelled: { label: "Cancelled", tone: "warn" },
};

/** 0.875 as "87.5%". */
export function formatShare(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

/** +12.5 or -3.0 percentage points. */
export function formatPoints(share: number): string {
  return `${share < 0 ? "−" : "+"}${Math.abs(share * 100).toFixed(1)}`;
}

/** McNemar's p as people write it. */
export function formatP(p: number): string {
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}

/** The mean cost of a case, to whole millionths. */
export function costPerCase(model: BenchmarkModelReport): string {
  if (model.cost_micros_per_case === null || model.cost === null) return "—";
  return formatMoney({ amount_micros: Math.round(model.cost_micros_per_case), currency: model.cost.currency });
}

/** Models of one run are told apart by their names, those of several by the run's too. */
export function subjectNames(models: readonly BenchmarkModelReport[]): string[] {
  const several = new Set(models.map((model) => model.benchmark)).size > 1;
  return models.map((model) => (several ? `${model.model} · ${model.benchmark_name}` : model.model));
}
