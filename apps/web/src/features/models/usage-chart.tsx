"use client";

import { BarChart } from "echarts/charts";
import { AriaComponent, GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { init, use as register, type EChartsType } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";

import { formatCompact, formatCount, formatMoney } from "@/lib/format";
import { useTheme } from "@/lib/theme";

import type { UsageMeasure, UsageSeries } from "./usage-series";

register([BarChart, GridComponent, TooltipComponent, LegendComponent, AriaComponent, CanvasRenderer]);

interface UsageChartProps {
  days: string[];
  series: UsageSeries[];
  measure: UsageMeasure;
  /** Of the amounts, where the measure is cost. */
  currency: string;
}

/** Days and their sums as stacked bars. The tables below the chart carry the same figures for everybody who cannot see it. */
export function UsageChart(props: UsageChartProps) {
  const element = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  const { days, series, measure, currency } = props;

  useEffect(() => {
    if (!element.current) return;
    const container = element.current;
    const chart = init(container);
    const draw = () => chart.setOption(chartOptions({ days, series, measure, currency }, container), true);
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
  }, [days, series, measure, currency, theme]);

  return <div ref={element} role="img" aria-label={LABELS[measure]} className="h-72 w-full" />;
}

const LABELS: Record<UsageMeasure, string> = { cost: "Cost by day", tokens: "Tokens by day", calls: "Calls by day" };

/** The tokens' three colours, then the same paler, so that six stacks differ in both themes. */
const COLORS: { name: string; opacity: number }[] = [
  { name: "--chart-1", opacity: 1 },
  { name: "--chart-2", opacity: 1 },
  { name: "--chart-3", opacity: 1 },
  { name: "--chart-1", opacity: 0.45 },
  { name: "--chart-2", opacity: 0.45 },
  { name: "--ink-faint", opacity: 0.6 },
];

type ChartOptions = Parameters<EChartsType["setOption"]>[0];

function chartOptions({ days, series, measure, currency }: UsageChartProps, element: HTMLElement): ChartOptions {
  const color = (name: string) => resolveColor(element, name);
  const font = getComputedStyle(element).fontFamily;
  const exact = (value: number) => (measure === "cost" ? formatMoney({ amount_micros: Math.round(value), currency }) : formatCount(value));
  const short = (value: number) => (measure === "cost" ? exact(value) : formatCompact(value));
  return {
    animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    animationDuration: 400,
    aria: { enabled: false },
    textStyle: { fontFamily: font },
    grid: { left: 0, right: 4, top: 36, bottom: 0, containLabel: true },
    legend: { type: "scroll", left: 0, top: 0, pageIconColor: color("--ink-soft"), pageIconInactiveColor: color("--rule-strong"), pageTextStyle: { color: color("--ink-faint") }, itemWidth: 10, itemHeight: 10, icon: "rect", textStyle: { color: color("--ink-soft"), fontSize: 13 } },
    tooltip: {
      trigger: "axis",
      axisPointer: { type: "shadow", shadowStyle: { color: color("--rule"), opacity: 0.4 } },
      backgroundColor: color("--ink"),
      borderWidth: 0,
      textStyle: { color: color("--paper"), fontSize: 13 },
      formatter: (points: TooltipPoint[]) => tooltipContent(points, exact),
    },
    xAxis: {
      type: "category",
      data: days,
      axisLine: { lineStyle: { color: color("--rule-strong") } },
      axisTick: { show: false },
      axisLabel: { color: color("--ink-faint"), hideOverlap: true, formatter: shortDay },
    },
    yAxis: {
      type: "value",
      ...(measure !== "cost" && { minInterval: 1 }),
      splitNumber: 4,
      splitLine: { lineStyle: { color: color("--rule") } },
      axisLabel: { color: color("--ink-faint"), formatter: short },
    },
    series: series.map((one, index) => {
      const { name, opacity } = COLORS[index % COLORS.length] ?? { name: "--chart-1", opacity: 1 };
      return {
        type: "bar" as const,
        name: one.name,
        stack: "all",
        data: one.values,
        barMaxWidth: 28,
        itemStyle: { color: color(name), opacity },
      };
    }),
  };
}

/** What the chart tells of a bar's piece; more than is used here. */
interface TooltipPoint {
  axisValueLabel?: string;
  seriesName?: string;
  value?: unknown;
  color?: unknown;
}

/** As elements and not as markup: the styles in the chart's own markup are what the page's policy forbids. */
function tooltipContent(points: TooltipPoint[], exact: (value: number) => string): HTMLElement {
  const content = document.createElement("div");
  content.className = "grid gap-1";
  content.append(points[0]?.axisValueLabel ?? "");
  for (const point of points) {
    const row = document.createElement("div");
    row.className = "flex items-center gap-2";
    const mark = document.createElement("span");
    mark.className = "size-2.5 shrink-0 rounded-full";
    if (typeof point.color === "string") mark.style.backgroundColor = point.color;
    const value = document.createElement("strong");
    value.className = "ml-auto pl-4 font-semibold";
    value.textContent = typeof point.value === "number" ? exact(point.value) : String(point.value);
    row.append(mark, point.seriesName ?? "", value);
    content.append(row);
  }
  return content;
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
