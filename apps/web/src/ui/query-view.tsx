"use client";

import { asProblem } from "@plasma/client/problem";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { Button } from "./button";
import { cx } from "./cx";
import { ProblemNote } from "./problem-note";

/** What every query renders: loading, error with a way to try again, empty with what to do, or its data. */
export function QueryView<T>({ query, loading, empty, isEmpty, children }: {
  query: Pick<UseQueryResult<T>, "data" | "error" | "refetch" | "isFetching">;
  loading?: ReactNode;
  empty?: ReactNode;
  isEmpty?: (data: T) => boolean;
  children: (data: T) => ReactNode;
}) {
  if (query.data === undefined && query.error) {
    const retry = (
      <Button small busy={query.isFetching} onClick={() => void query.refetch()}>Try again</Button>
    );
    return <ProblemNote error={query.error} action={asProblem(query.error).status === 403 ? null : retry} />;
  }
  if (query.data === undefined) return loading ?? <SkeletonRows />;
  const stale = query.error ? (
    <p role="status" className="mb-3 text-[0.8125rem] text-warn">
      This may be out of date: the last update failed ({asProblem(query.error).detail})
    </p>
  ) : null;
  return (
    <>
      {stale}
      {isEmpty?.(query.data) ? empty : children(query.data)}
    </>
  );
}

export function SkeletonRows({ rows = 4, tall }: { rows?: number; tall?: boolean }) {
  return (
    <div role="status" aria-label="Loading" className="animate-breathe">
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} className={cx("flex flex-col gap-2 border-b border-rule py-4", tall && "py-6")}>
          <Bone className={index % 2 ? "w-2/5" : "w-1/3"} />
          <Bone className={index % 2 ? "w-3/5" : "w-4/5"} thin />
        </div>
      ))}
    </div>
  );
}

export function Bone({ className, thin }: { className?: string; thin?: boolean }) {
  return <div className={cx("rounded-[3px] bg-rule", thin ? "h-2.5" : "h-4", className)} />;
}

/** Nothing here yet: says what would be here and how to get it. */
export function EmptyState({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="border-y border-rule py-12 text-center sm:py-16">
      <h2 className="font-serif text-2xl font-medium tracking-tight">{title}</h2>
      {children && <div className="mx-auto mt-2 max-w-[52ch] text-soft">{children}</div>}
      {action && <div className="mt-5 flex flex-wrap justify-center gap-2.5">{action}</div>}
    </div>
  );
}
