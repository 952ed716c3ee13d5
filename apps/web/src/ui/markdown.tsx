"use client";

import ReactMarkdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";

import { parseCitationHref } from "@/lib/citations";

import { cx } from "./cx";

interface MarkdownProps {
  text: string;
  /** What a numbered reference does; `index` is the citation's place in its list, null for a mark without a citation. */
  onCitation?: (number: number, index: number | null) => void;
  citationTitle?: (number: number) => string | undefined;
  className?: string;
}

/** Markdown without raw HTML and without images from elsewhere: both are text that somebody else may have written. */
export function Markdown({ text, onCitation, citationTitle, className }: MarkdownProps) {
  const components: Components = {
    a: ({ href, children }) => {
      const citation = parseCitationHref(href);
      if (citation) {
        return <CitationLink number={citation.number} title={citationTitle?.(citation.number)} onOpen={() => onCitation?.(citation.number, citation.index)} />;
      }
      const external = /^https?:/.test(href ?? "");
      return <a href={href} {...(external && { target: "_blank", rel: "noopener noreferrer" })}>{children}</a>;
    },
    img: ({ alt }) => <span className="text-faint">[image{alt ? `: ${alt}` : ""}]</span>,
    // The page has its own first heading.
    h1: ({ children }) => <h2 className="text-[1.65rem]! font-[480]!">{children}</h2>,
  };
  return (
    <div className={cx("prose", className)}>
      <ReactMarkdown remarkPlugins={[remarkGfm]} skipHtml components={components}>{text}</ReactMarkdown>
    </div>
  );
}

export function CitationLink({ number, title, onOpen }: { number: number; title?: string; onOpen: () => void }) {
  return (
    <button
      type="button"
      onClick={onOpen}
      title={title}
      aria-label={`Source ${number}${title ? `: ${title}` : ""}`}
      data-citation={number}
      className="figure relative -top-[0.35em] mx-0.5 inline-block min-w-[1.5em] rounded-[3px] bg-accent-soft px-1 text-center text-[0.66em] leading-[1.55] font-medium text-accent before:absolute before:-inset-1.5 hover:bg-accent hover:text-on-accent"
    >
      {number}
    </button>
  );
}
