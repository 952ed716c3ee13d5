"use client";

import { useCan, useMe } from "@/features/identity/session";
import { LiveStatus } from "@/shell/live-status";
import { ButtonLink } from "@/ui/button";
import { PageHeader } from "@/ui/page-header";

import { FirstSteps } from "./first-steps";
import { JobsPanel } from "./jobs-panel";
import { LiveFeed } from "./live-feed";
import { OverviewStrip } from "./overview-strip";

export function HomePage() {
  const me = useMe();
  const canAsk = useCan("models:invoke");
  const canWrite = useCan("content:write");
  const canSeeJobs = useCan("jobs:read");
  return (
    <>
      <PageHeader
        title={me.tenant.name}
        lead="What your team knows, asks and writes, as it happens."
        actions={
          <>
            {canWrite && <ButtonLink href="/content/draft/">New draft</ButtonLink>}
            {canAsk && <ButtonLink href="/ask/" variant="primary">Ask a question</ButtonLink>}
          </>
        }
      />
      <FirstSteps />
      <OverviewStrip />
      <div className="mt-12 grid gap-x-14 gap-y-12 lg:grid-cols-[minmax(0,1.7fr)_minmax(0,1fr)]">
        <section aria-labelledby="feed">
          <div className="mb-3 flex items-baseline justify-between gap-4">
            <h2 id="feed" className="font-serif text-[1.375rem] font-medium tracking-tight">Going on</h2>
            <LiveStatus />
          </div>
          <LiveFeed />
        </section>
        {canSeeJobs && (
          <section aria-labelledby="jobs">
            <h2 id="jobs" className="mb-3 font-serif text-[1.375rem] font-medium tracking-tight">In progress</h2>
            <JobsPanel />
          </section>
        )}
      </div>
    </>
  );
}
