"use client";

import type { PlasmaEvent } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { useMemo } from "react";

import { recentEventsQuery } from "@/data/system/queries";
import { useCan } from "@/features/identity/session";
import { formatClock, formatDateTime, toDate } from "@/lib/format";
import { useLive } from "@/live/live-provider";
import { cx } from "@/ui/cx";
import { EmptyState, QueryView } from "@/ui/query-view";

import { eventSentence } from "./event-sentence";

const SHOWN_MAX = 40;

/** What happens in the workspace, newest first: the last events from the log, then each one as it comes. */
export function LiveFeed() {
  const allowed = useCan("events:read");
  const { events: live, phase } = useLive();
  // Without a live connection the log itself is asked again and again.
  const recent = useQuery({ ...recentEventsQuery, enabled: allowed, refetchInterval: phase === "open" ? false : 5000 });
  if (!allowed) {
    return <p className="text-soft">Your role does not include events:read, so the feed stays closed. Everything else on this page works.</p>;
  }
  return (
    <QueryView query={recent} isEmpty={(logged) => logged.length + live.length === 0} empty={<EmptyState title="Nothing has happened yet" />}>
      {(logged) => <FeedList live={live} logged={logged} />}
    </QueryView>
  );
}

/** Each search and each batch of passages calls a model; that is told by what it is for. */
function isNews(event: PlasmaEvent) {
  return event.type !== "models.call.completed" || !["search", "ingest"].includes(String(event.data["purpose"]));
}

function FeedList({ live, logged }: { live: readonly PlasmaEvent[]; logged: PlasmaEvent[] }) {
  const events = useMemo(() => {
    const byId = new Map([...live, ...logged].map((event) => [event.id, event]));
    return [...byId.values()].filter(isNews).sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1)).slice(0, SHOWN_MAX);
  }, [live, logged]);
  return (
    <ol aria-label="Events, newest first" className="border-t border-rule">
      {events.map((event) => <FeedRow key={event.id} event={event} />)}
    </ol>
  );
}

function FeedRow({ event }: { event: PlasmaEvent }) {
  const sentence = eventSentence(event);
  return (
    <li className="grid grid-cols-[4.75rem_minmax(0,1fr)] items-baseline gap-x-3 border-b border-rule py-2.5">
      <time dateTime={toDate(event.at).toISOString()} title={formatDateTime(event.at)} className="figure text-[0.8125rem] text-faint">
        {formatClock(event.at)}
      </time>
      <p className="min-w-0">
        <span className={cx("mr-2", sentence.tone === "bad" ? "text-bad" : sentence.tone === "good" ? "text-good" : "text-soft")}>{sentence.text}</span>
        {sentence.subject &&
          (sentence.href ? (
            <Link href={sentence.href} className="break-words hover:text-accent hover:underline">{sentence.subject}</Link>
          ) : (
            <span className="break-words">{sentence.subject}</span>
          ))}
      </p>
    </li>
  );
}
