"use client";

import { asProblem } from "@plasma/client/problem";
import type { Model } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useSetModelPrice } from "@/data/models/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { ProblemNote } from "@/ui/problem-note";

import { draftOf, givenPrice, hasWrongAmount } from "./price-draft";
import { PriceFields } from "./price-fields";

export function PriceDialog({ model, onClose }: { model: Model | null; onClose: () => void }) {
  return (
    <Dialog open={model !== null} onOpenChange={(open) => !open && onClose()} title={`Price of ${model?.id ?? ""}`} description="The next calls use it. The costs of earlier calls stay." wide>
      {model && <PriceForm model={model} onClose={onClose} />}
    </Dialog>
  );
}

function PriceForm({ model, onClose }: { model: Model; onClose: () => void }) {
  const save = useSetModelPrice();
  const [price, setPrice] = useState(() => draftOf(model));
  const problem = save.error ? asProblem(save.error) : null;
  const fieldError = (...fields: string[]) => (problem?.field && fields.includes(problem.field) ? problem.detail : null);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (hasWrongAmount(price, model.kind)) return;
    save.mutate({ id: model.id, price: givenPrice(price, model.kind) }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={save.error} /> : null}
      <PriceFields price={price} kind={model.kind} onChange={setPrice} fieldError={fieldError} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending}>Save price</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
