"use client";

import type { Micros } from "@plasma/client/types";

import { formatDateTime, formatRelative, toDate } from "@/lib/format";
import { useNow } from "@/lib/use-now";

/** A moment, relative while it is recent, with the exact time on hover. */
export function Time({ at }: { at: Micros }) {
  const now = useNow();
  return (
    <time dateTime={toDate(at).toISOString()} title={formatDateTime(at)} className="whitespace-nowrap">
      {formatRelative(at, now)}
    </time>
  );
}
