"use client";

import type { SearchNode, SearchNodeDatabase } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";

import { searchNodesQuery } from "@/data/search-nodes/queries";
import { formatBytes, plural } from "@/lib/format";
import { Badge, type Tone } from "@/ui/badge";
import { Message } from "@/ui/message";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView } from "@/ui/query-view";

import { lagText } from "./placement-labels";

/** The databases that hold vectors, for those who look after the installation. */
export function SearchNodesPage() {
  const nodes = useQuery(searchNodesQuery);
  return (
    <>
      <PageHeader
        title="Search nodes"
        lead="Postgres databases with pgvector that hold vectors of collections. Where a collection's vectors are is said on its own page."
      />
      <QueryView
        query={nodes}
        isEmpty={(data) => data.length === 0}
        empty={
          <EmptyState title="No search nodes">
            Each process has the vectors in an index of its own. To use databases instead, name them in plasma.toml: a table [search.nodes.NAME] with the url of a Postgres with pgvector.
          </EmptyState>
        }
      >
        {(data) => <ul className="border-t border-rule-strong">{data.map((node) => <Node key={node.name} node={node} />)}</ul>}
      </QueryView>
    </>
  );
}

const WRITERS: Record<string, { label: string; tone: Tone }> = {
  here: { label: "written to by this process", tone: "good" },
  elsewhere: { label: "written to by another process", tone: "good" },
  starting: { label: "not written to yet", tone: "plain" },
  failed: { label: "cannot be written to", tone: "bad" },
};

function Node({ node }: { node: SearchNode }) {
  const writer = WRITERS[node.writer] ?? { label: node.writer, tone: "plain" as const };
  return (
    <li className="border-b border-rule py-5" data-node={node.name}>
      <p className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
        <span className="figure font-medium">{node.name}</span>
        <Badge tone={writer.tone}>{writer.label}</Badge>
      </p>
      <p className="mt-1 text-[0.875rem] text-soft">
        {node.shards === null
          ? "What it holds is not known now."
          : `${plural(node.collections ?? 0, "collection")} in ${plural(node.shards, "part")}, ${plural(node.passages ?? 0, "passage")}`}
      </p>
      {node.writer_error && <p className="mt-1 text-[0.875rem] text-bad"><Message text={node.writer_error} /></p>}
      <table className="ledger stack mt-3">
        <caption className="sr-only">Databases of {node.name}</caption>
        <thead><tr><th>Database</th><th>State</th><th>Postgres</th><th>pgvector</th><th className="num">Size</th><th>Changes</th></tr></thead>
        <tbody>{node.databases.map((database) => <Database key={database.label} database={database} />)}</tbody>
      </table>
    </li>
  );
}

function Database({ database }: { database: SearchNodeDatabase }) {
  return (
    <tr data-ok={database.ok}>
      <td>{database.label}</td>
      <td data-label="State">
        <Badge tone={database.ok ? "good" : "bad"}>{database.ok ? "answers" : "does not answer"}</Badge>
        {database.error && <span className="mt-1 block text-[0.875rem] text-soft"><Message text={database.error} /></span>}
      </td>
      <td data-label="Postgres" className="figure">{database.server_version ?? "—"}</td>
      <td data-label="pgvector" className="figure">{database.pgvector_version ?? (database.ok ? "missing" : "—")}</td>
      <td data-label="Size" className="num">{database.size_bytes === null ? "—" : formatBytes(database.size_bytes)}</td>
      <td data-label="Changes" className="text-soft">{database.ok ? lagText(database.lag_ms) : "—"}</td>
    </tr>
  );
}
