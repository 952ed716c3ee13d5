"use client";

import type { CollectionPlace, CollectionPlacement, CollectionShard } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useCancelMove } from "@/data/collections/mutations";
import { collectionPlacementQuery } from "@/data/collections/queries";
import { formatCount, plural } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Message } from "@/ui/message";
import { ProblemNote } from "@/ui/problem-note";
import { ProgressBar } from "@/ui/progress-bar";
import { QueryView } from "@/ui/query-view";

import { PlacementDialog } from "./placement-dialog";
import { lagText, placeText, recallText, shardState, silentShards } from "./placement-labels";

/** Where the collection's vectors are, part by part, and a move to another place. */
export function PlacementTab({ collection, denied }: { collection: string; denied: string | null }) {
  const placement = useQuery(collectionPlacementQuery(collection));
  const [isChoosing, setChoosing] = useState(false);
  return (
    <QueryView query={placement}>
      {(data) => (
        <div className="flex flex-col gap-8">
          <div className="flex flex-wrap items-start justify-between gap-4">
            <p className="max-w-2xl">
              The vectors are <strong className="font-medium">{placeText(data.serving)}</strong>.
              {data.available_nodes.length === 0 && " This installation has no search nodes; its configuration can name some."}
            </p>
            {data.available_nodes.length > 0 && <Button reason={denied} onClick={() => setChoosing(true)}>Move</Button>}
          </div>
          <SilentNote place={data.serving} />
          {data.moving && <Move collection={collection} moving={data.moving} denied={denied} />}
          {data.move_error && (
            <p role="status" className="text-bad">The last move was given up: <Message text={data.move_error} /></p>
          )}
          {data.serving.shards.length > 0 && <Shards caption="Parts" place={data.serving} />}
          <PlacementDialog collection={collection} placement={data} open={isChoosing} onOpenChange={setChoosing} />
        </div>
      )}
    </QueryView>
  );
}

/** What searches miss now. */
function SilentNote({ place }: { place: CollectionPlace }) {
  const silent = silentShards(place);
  if (silent.length === 0) return null;
  const nodes = [...new Set(silent.map((shard) => shard.node))];
  return (
    <div role="alert" className="rounded-[5px] border-l-3 border-bad bg-bad-soft px-4 py-3">
      <p className="font-medium">
        {silent.length === place.shards.length ? "No part answers" : `${formatCount(silent.length)} of ${plural(place.shards.length, "part")} ${silent.length === 1 ? "does" : "do"} not answer`}
      </p>
      <p className="mt-0.5">
        Searches find the passages on {nodes.join(", ")} only by their words until then, and say so. What is added meanwhile is brought there as soon as it is back.
      </p>
    </div>
  );
}

function Move({ collection, moving, denied }: { collection: string; moving: NonNullable<CollectionPlacement["moving"]>; denied: string | null }) {
  const cancel = useCancelMove(collection);
  return (
    <section aria-labelledby="moving" className="rounded-[5px] border border-rule p-4">
      <h2 id="moving" className="font-medium">Moving: the vectors will be {placeText(moving.to)}</h2>
      <p className="mt-1 text-[0.875rem] text-soft">The present place answers until the new one is complete; both receive every change.</p>
      <div className="mt-3 flex flex-wrap items-center gap-x-4 gap-y-2">
        <ProgressBar label="Passages copied" done={moving.done} total={moving.total} className="max-w-md min-w-40 grow" />
        <span className="text-[0.8125rem] text-soft tabular-nums">{formatCount(moving.done)} of {plural(moving.total, "passage")}</span>
        <Button small reason={denied} busy={cancel.isPending} onClick={() => cancel.mutate()}>Cancel the move</Button>
      </div>
      {cancel.error ? <ProblemNote error={cancel.error} className="mt-3" /> : null}
      {moving.to.shards.length > 0 && <div className="mt-4"><Shards caption="Parts of the new place" place={moving.to} /></div>}
    </section>
  );
}

function Shards({ caption, place }: { caption: string; place: CollectionPlace }) {
  return (
    <table className="ledger stack">
      <caption className="sr-only">{caption}</caption>
      <thead><tr><th>Part</th><th>Node</th><th>State</th><th className="num">Passages</th><th>Search</th><th>Changes</th></tr></thead>
      <tbody>{place.shards.map((shard) => <ShardRow key={shard.number} shard={shard} />)}</tbody>
    </table>
  );
}

function ShardRow({ shard }: { shard: CollectionShard }) {
  const state = shardState(shard);
  const isKnown = shard.state !== "unreachable" && shard.state !== "missing";
  return (
    <tr data-shard={shard.number} data-state={shard.state}>
      <td className="figure">{shard.number + 1}</td>
      <td data-label="Node" className="figure">{shard.node}</td>
      <td data-label="State">
        <Badge tone={state.tone}>{state.label}</Badge>
        {shard.detail && <span className="mt-1 block text-[0.875rem] text-soft"><Message text={shard.detail} /></span>}
      </td>
      <td data-label="Passages" className="num">{isKnown ? formatCount(shard.passages) : "—"}</td>
      <td data-label="Search" className="text-soft">{isKnown ? recallText(shard) : "—"}</td>
      <td data-label="Changes" className="text-soft">{isKnown ? lagText(shard.lag_ms) : "—"}</td>
    </tr>
  );
}
