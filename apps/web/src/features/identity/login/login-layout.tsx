"use client";

import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { publicBrandingQuery } from "@/data/tenants/queries";
import { useBrandColors } from "@/lib/brand";
import { Mark, Wordmark } from "@/shell/wordmark";

import { TenantLogo } from "../tenant-logo";

/** The frame of every page for those who are not signed in. Under a workspace's own host name it has that workspace's looks. */
export function LoginLayout({ title, lead, children }: { title: string; lead?: ReactNode; children: ReactNode }) {
  const branding = useQuery(publicBrandingQuery);
  useBrandColors(branding.data);
  const mark = branding.data?.logo ? <TenantLogo open hash={branding.data.logo} /> : <Wordmark />;
  return (
    <main className="grid min-h-dvh lg:grid-cols-[minmax(0,1.1fr)_minmax(0,1fr)]">
      <div className="relative hidden overflow-hidden border-r border-rule bg-sunken lg:block">
        <div className="flex h-full flex-col justify-between p-14">
          {mark}
          <p className="max-w-[17ch] font-serif text-[3.75rem] leading-[1.04] font-[420] tracking-[-0.03em]">
            Every claim, <mark className="px-1">with its source</mark> beside it<sup className="figure ml-1 text-[0.3em] text-accent">1</sup>
          </p>
          <p className="max-w-[46ch] text-soft">
            <span className="figure mr-2 text-accent">1</span>
            Your documents, your models, your machine. Plasma finds, answers and drafts, and shows the passage behind each statement.
          </p>
        </div>
        <Mark quiet className="pointer-events-none absolute -top-32 -right-28 size-[27rem] text-rule" />
      </div>
      <div className="grid content-center px-6 py-12 sm:px-12">
        <div className="mx-auto flex w-full max-w-sm flex-col gap-5">
          <div className="mb-6 lg:hidden">{mark}</div>
          <div>
            <h1 className="text-[2.25rem]">{title}</h1>
            {lead && <div className="mt-1.5 text-soft">{lead}</div>}
          </div>
          {children}
        </div>
      </div>
    </main>
  );
}
