"use client";

import { useQuery } from "@tanstack/react-query";
import { Check } from "lucide-react";
import Link from "next/link";

import { overviewQuery } from "@/data/system/queries";
import { modelsQuery } from "@/data/models/queries";
import { useMe } from "@/features/identity/session";
import { cx } from "@/ui/cx";

interface Step {
  title: string;
  text: string;
  href: string;
  done: boolean;
}

/** The way from an empty workspace to a cited draft. It goes away once the way was walked. */
export function FirstSteps() {
  const { permissions } = useMe();
  const overview = useQuery(overviewQuery);
  const models = useQuery({ ...modelsQuery, enabled: permissions.includes("models:read") });
  if (!overview.data || !permissions.includes("collections:write")) return null;
  const { collections, documents, content_documents: drafts, model_calls_24h: calls } = overview.data;
  const chatModel = models.data?.some((model) => model.kind === "chat" && model.state !== "missing");
  const steps: Step[] = [
    { title: "Create a collection", text: "A shelf for documents that belong together.", href: "/knowledge/", done: collections > 0 },
    { title: "Drop in documents", text: "Markdown, text, HTML, PDF, Word or CSV.", href: "/knowledge/", done: documents > 0 },
    { title: "Have a chat model at hand", text: "A local one, or any server that speaks OpenAI’s format.", href: "/models/", done: chatModel === true },
    { title: "Ask a question", text: "The answer comes with numbered sources.", href: "/ask/", done: calls > 0 && documents > 0 },
    { title: "Turn a brief into a draft", text: "Then edit it, and compare its revisions.", href: "/content/draft/", done: drafts > 0 },
  ];
  if (drafts > 0 && documents > 0) return null;
  const next = steps.findIndex((step) => !step.done);
  return (
    <section aria-labelledby="first-steps" className="mb-10 border border-rule bg-raised p-6 sm:p-8">
      <h2 id="first-steps" className="font-serif text-2xl font-medium tracking-tight">From an empty shelf to a cited draft</h2>
      <ol className="mt-5 grid gap-x-8 sm:grid-cols-2 lg:grid-cols-5 lg:gap-x-6">
        {steps.map((step, index) => (
          <li key={step.title} className={cx("relative border-t-2 py-3.5", step.done ? "border-good" : index === next ? "border-accent" : "border-rule")}>
            <p className="flex items-center gap-2 font-medium">
              {step.done ? <Check aria-hidden className="size-4 shrink-0 text-good" /> : <span aria-hidden className="figure text-[0.8125rem] text-faint">{index + 1}</span>}
              <Link href={step.href} className="after:absolute after:inset-0 hover:text-accent">{step.title}</Link>
              {step.done && <span className="sr-only">(done)</span>}
            </p>
            <p className="mt-1 text-[0.875rem] leading-snug text-soft">{step.text}</p>
          </li>
        ))}
      </ol>
    </section>
  );
}
