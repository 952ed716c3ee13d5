"use client";

import { asProblem } from "@plasma/client/problem";
import type { Collection } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { useReembed } from "@/data/collections/mutations";
import { modelsQuery } from "@/data/models/queries";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView } from "@/ui/query-view";

interface Props {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  collection: Collection;
}

export function ReembedDialog(props: Props) {
  return (
    <Dialog
      open={props.open}
      onOpenChange={props.onOpenChange}
      title="Change the embedding model"
      description="All passages are embedded with it in the background. Searches use the present model until that is done, and then the new one."
    >
      <ReembedForm {...props} />
    </Dialog>
  );
}

function ReembedForm({ collection, onOpenChange }: Props) {
  const models = useQuery(modelsQuery);
  const reembed = useReembed(collection.id);
  const [model, setModel] = useState(collection.embedding_model);
  const field = reembed.error ? asProblem(reembed.error).field : null;

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    reembed.mutate(model, { onSuccess: () => onOpenChange(false) });
  };

  return (
    <QueryView query={models}>
      {(data) => (
        <form onSubmit={submit} className="flex flex-col gap-4">
          {reembed.error && field !== "model" ? <ProblemNote error={reembed.error} /> : null}
          <SelectField
            label="Model"
            value={model}
            onChange={(event) => setModel(event.target.value)}
            error={field === "model" ? reembed.error?.message : null}
            hint={model === collection.embedding_model ? "The collection has this model: everything is embedded anew, for instance after its provider changed it." : undefined}
          >
            {data.filter((found) => found.kind === "embedding").map((found) => (
              <option key={found.id} value={found.id} disabled={found.state === "missing"}>
                {found.id}{found.precision === "int8" ? " (8-bit integers)" : ""}{found.state === "missing" ? " (its weights are missing)" : ""}
              </option>
            ))}
          </SelectField>
          <DialogActions>
            <Button type="submit" variant="primary" busy={reembed.isPending}>Embed anew</Button>
            <Button variant="quiet" onClick={() => onOpenChange(false)}>Cancel</Button>
          </DialogActions>
        </form>
      )}
    </QueryView>
  );
}
