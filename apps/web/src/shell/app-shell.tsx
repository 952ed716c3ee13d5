"use client";

import { asProblem, ProblemError } from "@plasma/client/problem";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { usePathname } from "next/navigation";
import type { ReactNode } from "react";

import { meQuery } from "@/data/session/queries";
import { ClosedNotice, ClosedWorkspace, isClosed } from "@/features/identity/closed-workspace";
import { SessionProvider, useMe } from "@/features/identity/session";
import { StepUpDialog } from "@/features/identity/step-up-dialog";
import { QuickSearch } from "@/features/knowledge/quick-search";
import { LiveProvider } from "@/live/live-provider";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { ProblemNote } from "@/ui/problem-note";

import { BrandColors } from "./brand-colors";
import { LiveStatus } from "./live-status";
import { DESTINATIONS, isCurrent, type Destination } from "./navigation";
import { UserMenu } from "./user-menu";
import { Mark } from "./wordmark";
import { WorkspaceSwitcher } from "./workspace-switcher";

/** The frame of every page but the login: waits for the session, then shows navigation and the page. */
export function AppShell({ children }: { children: ReactNode }) {
  const me = useQuery(meQuery);
  if (me.data && me.data.tenant.state !== "active") {
    return (
      <SessionProvider me={me.data}>
        <BrandColors />
        <ClosedWorkspace />
        <StepUpDialog />
      </SessionProvider>
    );
  }
  if (me.data) {
    return (
      <SessionProvider me={me.data}>
        <BrandColors />
        <LiveProvider enabled={me.data.permissions.includes("events:read")}>
          <Frame>{children}</Frame>
          <QuickSearch />
          <StepUpDialog />
        </LiveProvider>
      </SessionProvider>
    );
  }
  if (me.error && isClosed(asProblem(me.error))) return <ClosedNotice problem={asProblem(me.error)} />;
  const signedOut = me.error instanceof ProblemError && me.error.status === 401;
  if (me.error && !signedOut) {
    return (
      <main className="mx-auto grid min-h-dvh max-w-xl content-center p-6">
        <ProblemNote error={me.error} action={<Button small busy={me.isFetching} onClick={() => void me.refetch()}>Try again</Button>} />
      </main>
    );
  }
  return (
    <main aria-busy className="grid min-h-dvh place-items-center">
      <span role="status" aria-label="Loading"><Mark className="size-9 animate-breathe text-rule-strong" /></span>
    </main>
  );
}

function Frame({ children }: { children: ReactNode }) {
  const { permissions } = useMe();
  const pathname = usePathname();
  const visible = DESTINATIONS.filter((destination) => destination.permission === null || permissions.includes(destination.permission));
  return (
    <div className="md:grid md:min-h-dvh md:grid-cols-[14.5rem_minmax(0,1fr)]">
      <a href="#main" className="sr-only z-60 rounded-[5px] bg-ink px-4 py-2 text-paper focus:not-sr-only focus:fixed focus:top-3 focus:left-3">
        Skip to the page
      </a>
      <aside className="hidden border-r border-rule bg-sunken md:block">
        <div className="sticky top-0 flex h-dvh flex-col px-5 py-6">
          <WorkspaceSwitcher />
          <nav aria-label="Main" className="mt-9 flex flex-col gap-0.5">
            {visible.map((destination) => (
              <SideLink key={destination.href} destination={destination} current={isCurrent(pathname, destination.href)} />
            ))}
          </nav>
          <p className="mt-6 text-[0.8125rem] text-faint">
            Press <kbd className="figure rounded-[3px] border border-rule-strong px-1 text-xs">/</kbd> to search
          </p>
          <div className="mt-auto flex flex-col gap-3">
            <LiveStatus />
            <div className="border-t border-rule pt-3"><UserMenu /></div>
          </div>
        </div>
      </aside>
      <header className="flex items-center justify-between gap-4 border-b border-rule bg-sunken px-4 py-1.5 md:hidden">
        <WorkspaceSwitcher compact />
        <div className="flex items-center gap-3"><LiveStatus /><UserMenu compact /></div>
      </header>
      <main id="main" tabIndex={-1} className="min-w-0 transition-[padding] duration-200 px-4 pt-7 pb-28 outline-none sm:px-8 md:px-10 md:pt-12 md:pb-20 lg:px-14">
        <div className="@container mx-auto max-w-[72rem]">{children}</div>
      </main>
      <nav aria-label="Main" className="fixed inset-x-0 bottom-0 z-30 border-t border-rule bg-sunken pb-[env(safe-area-inset-bottom)] md:hidden">
        <ul className="flex">
          {visible.filter((destination) => destination.href !== "/settings/").map((destination) => (
            <li key={destination.href} className="min-w-0 flex-1">
              <BarLink destination={destination} current={isCurrent(pathname, destination.href)} />
            </li>
          ))}
        </ul>
      </nav>
    </div>
  );
}

function SideLink({ destination, current }: { destination: Destination; current: boolean }) {
  const Icon = destination.icon;
  return (
    <Link
      href={destination.href}
      aria-current={current ? "page" : undefined}
      className={cx(
        "-mx-2.5 flex min-h-10 items-center gap-3 rounded-[5px] px-2.5 font-medium transition-colors",
        current ? "bg-raised text-ink" : "text-soft hover:text-ink",
      )}
    >
      <Icon aria-hidden strokeWidth={1.75} className={cx("size-[1.125rem]", current && "text-accent")} />
      {destination.label}
    </Link>
  );
}

function BarLink({ destination, current }: { destination: Destination; current: boolean }) {
  const Icon = destination.icon;
  return (
    <Link
      href={destination.href}
      aria-current={current ? "page" : undefined}
      className={cx("flex min-h-14 flex-col items-center justify-center gap-0.5 text-xs font-medium outline-offset-[-3px]", current ? "text-ink" : "text-soft")}
    >
      <Icon aria-hidden strokeWidth={1.75} className={cx("size-5", current && "text-accent")} />
      {destination.label}
    </Link>
  );
}
