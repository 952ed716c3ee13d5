"use client";

import type { UsageDay } from "@plasma/client/types";
import { BarChart } from "echarts/charts";
import { AriaComponent, GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { init, use as register, type EChartsType } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";

import { formatCompact, formatCount } from "@/lib/format";
import { useTheme } from "@/lib/theme";

register([BarChart, GridComponent, TooltipComponent, LegendComponent, AriaComponent, CanvasRenderer]);

export type UsageMeasure = "tokens" | "calls";

/** Days and their sums as stacked bars. The table below the chart carries the same figures for everybody who cannot see it. */
export function UsageChart({ days, measure }: { days: UsageDay[]; measure: UsageMeasure }) {
  const element = useRef<HTMLDivElement>(null);
  const theme = useTheme();

  useEffect(() => {
    if (!element.current) return;
    const container = element.current;
    const chart = init(container);
    const draw = () => chart.setOption(chartOptions(days, measure, container), true);
    draw();
    const sizes = new ResizeObserver(() => chart.resize());
    sizes.observe(container);
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", draw);
    return () => {
      system.removeEventListener("change", draw);
      sizes.disconnect();
      chart.dispose();
    };
  }, [days, measure, theme]);

  return <div ref={element} role="img" aria-label={measure === "tokens" ? "Tokens read and written by day" : "Calls by day, with those that failed"} className="h-72 w-full" />;
}

type ChartOptions = Parameters<EChartsType["setOption"]>[0];

function chartOptions(days: UsageDay[], measure: UsageMeasure, element: HTMLElement): ChartOptions {
  const color = (name: string) => resolveColor(element, name);
  const font = getComputedStyle(element).fontFamily;
  const series =
    measure === "tokens"
      ? [
          { name: "Read", color: color("--chart-1"), values: days.map((day) => day.input_tokens) },
          { name: "Written", color: color("--chart-2"), values: days.map((day) => day.output_tokens) },
        ]
      : [
          { name: "Succeeded", color: color("--chart-1"), values: days.map((day) => day.calls - day.failed) },
          { name: "Failed", color: color("--chart-3"), values: days.map((day) => day.failed) },
        ];
  return {
    animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    animationDuration: 400,
    aria: { enabled: false },
    textStyle: { fontFamily: font },
    grid: { left: 0, right: 4, top: 36, bottom: 0, containLabel: true },
    legend: { left: 0, top: 0, itemWidth: 10, itemHeight: 10, icon: "rect", textStyle: { color: color("--ink-soft"), fontSize: 13 } },
    tooltip: {
      trigger: "axis",
      axisPointer: { type: "shadow", shadowStyle: { color: color("--rule"), opacity: 0.4 } },
      backgroundColor: color("--ink"),
      borderWidth: 0,
      textStyle: { color: color("--paper"), fontSize: 13 },
      valueFormatter: (value: unknown) => (typeof value === "number" ? formatCount(value) : String(value)),
    },
    xAxis: {
      type: "category",
      data: days.map((day) => day.day),
      axisLine: { lineStyle: { color: color("--rule-strong") } },
      axisTick: { show: false },
      axisLabel: { color: color("--ink-faint"), hideOverlap: true, formatter: shortDay },
    },
    yAxis: {
      type: "value",
      minInterval: 1,
      splitNumber: 4,
      splitLine: { lineStyle: { color: color("--rule") } },
      axisLabel: { color: color("--ink-faint"), formatter: (value: number) => formatCompact(value) },
    },
    series: series.map((one) => ({
      type: "bar" as const,
      name: one.name,
      stack: "all",
      data: one.values,
      barMaxWidth: 28,
      itemStyle: { color: one.color },
    })),
  };
}

const dayFormat = new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric", timeZone: "UTC" });

function shortDay(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  return Number.isNaN(date.getTime()) ? day : dayFormat.format(date);
}

/** A token's colour in the theme that applies to the element; a variable itself still holds both. */
function resolveColor(element: HTMLElement, name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}
