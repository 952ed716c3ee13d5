"use client";

import { asProblem } from "@plasma/client/problem";
import { useState, type SyntheticEvent } from "react";

import { useAddCustomModel } from "@/data/models/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField, TextAreaField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

export function CustomModelDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Add a custom model" description="Weights on the server's machine: a GGUF file of a chat model, or the folder of an embedding model." wide>
      <CustomModelForm onClose={() => onOpenChange(false)} />
    </Dialog>
  );
}

function CustomModelForm({ onClose }: { onClose: () => void }) {
  const add = useAddCustomModel();
  const [name, setName] = useState("");
  const [path, setPath] = useState("");
  const [domain, setDomain] = useState("");
  const [description, setDescription] = useState("");
  const [context, setContext] = useState("");
  const [precision, setPrecision] = useState<"" | "f32" | "int8">("");
  const problem = add.error ? asProblem(add.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? [problem.detail, problem.remedy].filter(Boolean).join(" ") : null);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const length = Number.parseInt(context, 10);
    add.mutate(
      {
        name: name.trim(),
        path: path.trim(),
        ...(domain.trim() && { domain: domain.trim() }),
        ...(description.trim() && { description: description.trim() }),
        ...(length > 0 && { context_length: length }),
        ...(precision && { precision }),
      },
      { onSuccess: onClose },
    );
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={add.error} /> : null}
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField label="Name" required maxLength={100} pattern="[A-Za-z0-9._\-]+" value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} hint={`Called as local/${name.trim() || "name"}`} />
        <TextField label="Domain" optional maxLength={40} pattern="[a-z0-9\-]+" value={domain} onChange={(event) => setDomain(event.target.value)} error={fieldError("domain")} hint="What it is made for, such as legal or medical. Routes can require it." />
      </div>
      <TextField label="Path" required className="figure" value={path} onChange={(event) => setPath(event.target.value)} error={fieldError("path")} hint="Below the models directory, or a folder that the configuration allows. The file is read once, which takes a while when it is large." />
      <TextAreaField label="Description" optional rows={2} maxLength={500} value={description} onChange={(event) => setDescription(event.target.value)} error={fieldError("description")} />
      <TextField label="Context length" optional inputMode="numeric" pattern="[0-9]*" value={context} onChange={(event) => setContext(event.target.value)} error={fieldError("context_length")} hint="In tokens. A chat model reserves memory for them; 4,096 when empty." />
      <SelectField label="Precision" optional value={precision} onChange={(event) => setPrecision(event.target.value as typeof precision)} error={fieldError("precision")} hint="Of an embedding model. In 8-bit integers it is faster, and its vectors differ slightly: do not mix the two in one collection.">
        <option value="">As the file says</option>
        <option value="f32">32-bit floats</option>
        <option value="int8">8-bit integers</option>
      </SelectField>
      <DialogActions>
        <Button type="submit" variant="primary" busy={add.isPending}>Add model</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
