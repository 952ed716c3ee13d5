"use client";

import { useQuery } from "@tanstack/react-query";
import Link from "next/link";

import { overviewQuery } from "@/data/system/queries";
import { formatCompact, formatCount, formatDuration } from "@/lib/format";
import { Bone, QueryView } from "@/ui/query-view";

/** The workspace in figures, and what it runs on. */
export function OverviewStrip() {
  const overview = useQuery(overviewQuery);
  return (
    <QueryView query={overview} loading={<StripSkeleton />}>
      {(data) => (
        <>
          <dl className="grid grid-cols-2 gap-x-6 border-y border-rule-strong sm:grid-cols-3 lg:grid-cols-5 lg:gap-x-0 lg:divide-x lg:divide-rule">
            <Figure label="Collections" value={data.collections} href="/knowledge/" />
            <Figure label="Documents" value={data.documents} href="/knowledge/" />
            <Figure label="Passages" value={data.passages} />
            <Figure label="Content" value={data.content_documents} href="/content/" />
            <Figure label="Model calls, 24 h" value={data.model_calls_24h} href="/models/calls/" />
          </dl>
          <p className="mt-3 text-[0.8125rem] text-faint">
            Plasma {data.version} on {data.database === "postgres" ? "Postgres" : "SQLite"}, up for {formatDuration(data.uptime_ms)}
          </p>
        </>
      )}
    </QueryView>
  );
}

function Figure({ label, value, href }: { label: string; value: number; href?: string }) {
  return (
    <div className="relative py-4 lg:px-5 lg:first:pl-0">
      <dt className="eyebrow">
        {href ? <Link href={href} className="after:absolute after:inset-0 hover:text-accent">{label}</Link> : label}
      </dt>
      <dd title={formatCount(value)} className="mt-0.5 font-serif text-[2.25rem] leading-none tracking-[-0.03em] tabular-nums">
        {formatCompact(value)}
      </dd>
    </div>
  );
}

function StripSkeleton() {
  return (
    <div role="status" aria-label="Loading" className="grid animate-breathe grid-cols-2 gap-6 border-y border-rule py-4 sm:grid-cols-3 lg:grid-cols-5">
      {Array.from({ length: 5 }, (_, index) => (
        <div key={index} className="flex flex-col gap-3"><Bone thin className="w-1/2" /><Bone className="h-8 w-1/3" /></div>
      ))}
    </div>
  );
}
