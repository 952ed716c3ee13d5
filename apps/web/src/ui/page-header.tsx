import Link from "next/link";
import type { ReactNode } from "react";

interface PageHeaderProps {
  title: ReactNode;
  back?: { href: string; label: string };
  lead?: ReactNode;
  actions?: ReactNode;
}

export function PageHeader({ title, back, lead, actions }: PageHeaderProps) {
  return (
    <header className="mb-8">
      {back && (
        <Link href={back.href} className="mb-3 inline-flex min-h-8 items-center gap-1.5 text-[0.875rem] text-soft hover:text-ink">
          <span aria-hidden>←</span> {back.label}
        </Link>
      )}
      <div className="flex flex-wrap items-end justify-between gap-x-8 gap-y-4">
        <div className="min-w-0 flex-1 basis-80">
          <h1 className="text-[2rem] sm:text-[2.5rem]">{title}</h1>
          {lead && <div className="mt-2 max-w-[64ch] text-soft">{lead}</div>}
        </div>
        {actions && <div className="flex flex-wrap gap-2.5">{actions}</div>}
      </div>
    </header>
  );
}

/** A titled part of a page. */
export function Section({ title, lead, actions, children }: { title: string; lead?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  return (
    <section className="mt-12 first:mt-0">
      <div className="mb-3 flex flex-wrap items-end justify-between gap-3">
        <div>
          <h2 className="font-serif text-[1.375rem] leading-tight font-medium tracking-tight">{title}</h2>
          {lead && <p className="mt-1 max-w-[64ch] text-soft">{lead}</p>}
        </div>
        {actions}
      </div>
      {children}
    </section>
  );
}
