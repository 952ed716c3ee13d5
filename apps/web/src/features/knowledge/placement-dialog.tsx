"use client";

import { asProblem } from "@plasma/client/problem";
import type { CollectionPlacement } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useMoveCollection } from "@/data/collections/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { CheckField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

const SPLIT_MAX = 64;

interface Props {
  collection: string;
  placement: CollectionPlacement;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

export function PlacementDialog(props: Props) {
  return (
    <Dialog
      open={props.open}
      onOpenChange={props.onOpenChange}
      title="Move the vectors"
      description="They are copied in the background, while the present place answers."
    >
      <PlacementForm {...props} />
    </Dialog>
  );
}

function PlacementForm({ collection, placement, onOpenChange }: Props) {
  const move = useMoveCollection(collection);
  const [nodes, setNodes] = useState(placement.serving.nodes);
  const [split, setSplit] = useState(placement.serving.split > 0 ? String(placement.serving.split) : "");
  const field = move.error ? asProblem(move.error).field : null;
  const isOfSplit = field === "placement.split";

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const parts = Number.parseInt(split, 10);
    const choice = nodes.length === 0 ? null : { nodes, split: Number.isNaN(parts) ? nodes.length : Math.max(parts, nodes.length) };
    move.mutate(choice, { onSuccess: () => onOpenChange(false) });
  };
  const toggle = (name: string, isOn: boolean) => setNodes(isOn ? [...nodes, name] : nodes.filter((other) => other !== name));

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {move.error && !isOfSplit ? <ProblemNote error={move.error} /> : null}
      <fieldset className="flex flex-col gap-2">
        <legend className="mb-1.5 text-[0.875rem] font-medium">Search nodes</legend>
        {placement.available_nodes.map((name) => (
          <CheckField key={name} label={<span className="figure">{name}</span>} checked={nodes.includes(name)} onChange={(event) => toggle(name, event.target.checked)} />
        ))}
        <p className="text-[0.8125rem] text-faint">None: each process keeps the vectors in an index of its own.</p>
      </fieldset>
      {nodes.length > 0 && (
        <TextField
          label="Parts"
          type="number"
          min={nodes.length}
          max={SPLIT_MAX}
          optional
          value={split}
          onChange={(event) => setSplit(event.target.value)}
          hint="They are dealt to the nodes in turn and searched at the same time. Empty: one for each node."
          error={isOfSplit ? move.error?.message : null}
        />
      )}
      <DialogActions>
        <Button type="submit" variant="primary" busy={move.isPending}>Move</Button>
        <Button variant="quiet" onClick={() => onOpenChange(false)}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
