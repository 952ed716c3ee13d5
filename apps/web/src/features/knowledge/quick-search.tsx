"use client";

import { useQuery } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useDeferredValue, useEffect, useState } from "react";

import { collectionChoicesQuery } from "@/data/collections/queries";
import { searchQuery } from "@/data/search/queries";
import { useCan } from "@/features/identity/session";
import { formatDuration } from "@/lib/format";
import { Dialog } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { HighlightedText } from "@/ui/highlighted-text";
import { QueryView, SkeletonRows } from "@/ui/query-view";

import { documentHref } from "./document-state";

const RESULTS_MAX = 6;

/** `/` focuses the page's own search where it has one, and otherwise opens this one. Ctrl+K always opens it. */
export function QuickSearch() {
  const [open, setOpen] = useState(false);
  const allowed = useCan("search:query");

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const palette = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
      if (!palette && (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey)) return;
      if (!palette && isTyping(event.target)) return;
      if (document.querySelector("[role=dialog]")) return;
      event.preventDefault();
      const own = palette ? null : document.querySelector<HTMLInputElement>("[data-hotkey-search]");
      if (own) own.focus();
      else if (allowed) setOpen(true);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [allowed]);

  return (
    <Dialog open={open} onOpenChange={setOpen} title="Search" wide>
      <QuickSearchForm onClose={() => setOpen(false)} />
    </Dialog>
  );
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function QuickSearchForm({ onClose }: { onClose: () => void }) {
  const router = useRouter();
  const collections = useQuery(collectionChoicesQuery);
  const [chosen, setChosen] = useState<string | null>(null);
  const [text, setText] = useState("");
  const query = useDeferredValue(text.trim());
  const collection = chosen ?? collections.data?.[0]?.id ?? "";
  const result = useQuery({ ...searchQuery({ collection, query, limit: RESULTS_MAX }), enabled: collection !== "" && query.length > 1 });
  const open = (href: string) => {
    onClose();
    router.push(href);
  };

  return (
    <QueryView query={collections} loading={<SkeletonRows rows={2} />} isEmpty={(data) => data.length === 0} empty={<p className="text-soft">There is no collection to search yet.</p>}>
      {(choices) => (
        <form
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            if (query) open(`/knowledge/collection/?id=${encodeURIComponent(collection)}&tab=search&q=${encodeURIComponent(query)}`);
          }}
        >
          <div className="grid gap-3 sm:grid-cols-[minmax(0,1fr)_14rem]">
            <TextField label="Look for" type="search" value={text} onChange={(event) => setText(event.target.value)} />
            <SelectField label="In" value={collection} onChange={(event) => setChosen(event.target.value)}>
              {choices.map((choice) => <option key={choice.id} value={choice.id}>{choice.name}</option>)}
            </SelectField>
          </div>
          {query.length > 1 && (
            <div className="mt-5">
              <QueryView query={result} loading={<SkeletonRows rows={3} />} isEmpty={(data) => data.results.length === 0} empty={<p className="text-soft">Nothing found.</p>}>
                {(data) => (
                  <>
                    <ul className="border-t border-rule">
                      {data.results.map((hit) => (
                        <li key={hit.passage_id} className="border-b border-rule">
                          <button type="button" onClick={() => open(documentHref(hit.collection_id, hit.document_id, hit.passage_id))} className="block w-full py-3 text-left hover:text-accent">
                            <span className="block truncate font-medium">{hit.title}{hit.heading && ` / ${hit.heading}`}</span>
                            <span className="mt-0.5 line-clamp-2 font-serif text-ink"><HighlightedText text={hit.text} spans={hit.highlights} /></span>
                          </button>
                        </li>
                      ))}
                    </ul>
                    <p className="mt-3 text-[0.8125rem] text-faint">In {formatDuration(data.took_ms.total)}. Enter shows all results.</p>
                  </>
                )}
              </QueryView>
            </div>
          )}
        </form>
      )}
    </QueryView>
  );
}
