"use client";

import type { DocumentAccess, KnowledgeDocument } from "@plasma/client/types";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { useSetDocumentAccess } from "@/data/documents/mutations";
import { teamChoicesQuery } from "@/data/teams/queries";
import { usersQuery } from "@/data/users/queries";
import { useCan } from "@/features/identity/session";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { CheckField, TextAreaField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { Segmented } from "@/ui/segmented";

interface Props {
  document: KnowledgeDocument;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

export function DocumentAccessDialog(props: Props) {
  return (
    <Dialog
      open={props.open}
      onOpenChange={props.onOpenChange}
      title="Who may see this document"
      description="It holds at once for search, answers, drafts and lists. Owners and administrators see every document."
    >
      <AccessForm {...props} />
    </Dialog>
  );
}

type Who = "everybody" | "some";

const WHO: { value: Who; label: string }[] = [
  { value: "everybody", label: "Everybody who may search" },
  { value: "some", label: "Only these" },
];

function AccessForm({ document, onOpenChange }: Props) {
  const save = useSetDocumentAccess(document.collection_id);
  const [who, setWho] = useState<Who>(document.access ? "some" : "everybody");
  const [access, setAccess] = useState<DocumentAccess>(document.access ?? { users: [], teams: [] });

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    save.mutate({ id: document.id, access: who === "everybody" ? null : access }, { onSuccess: () => onOpenChange(false) });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {save.error ? <ProblemNote error={save.error} /> : null}
      <div><Segmented small label="Who" value={who} options={WHO} onChange={setWho} /></div>
      {who === "some" && (
        <>
          <Teams chosen={access.teams ?? []} onChange={(teams) => setAccess({ ...access, teams })} />
          <People chosen={access.users ?? []} onChange={(users) => setAccess({ ...access, users })} />
        </>
      )}
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending}>Save</Button>
        <Button variant="quiet" onClick={() => onOpenChange(false)}>Cancel</Button>
      </DialogActions>
    </form>
  );
}

interface ChoiceProps {
  chosen: string[];
  onChange: (chosen: string[]) => void;
}

function Teams({ chosen, onChange }: ChoiceProps) {
  const may = useCan("teams:read");
  const teams = useQuery({ ...teamChoicesQuery, enabled: may });
  if (!may) return <Ids label="Teams" hint="Ids of teams, one on a line. Their names are shown to administrators." chosen={chosen} onChange={onChange} />;
  return <Checks legend="Teams" none="There is no team yet." choices={(teams.data ?? []).map(({ id, name }) => ({ id, name, more: null }))} chosen={chosen} onChange={onChange} />;
}

function People({ chosen, onChange }: ChoiceProps) {
  const may = useCan("users:read");
  const users = useInfiniteQuery({ ...usersQuery, enabled: may });
  if (!may) return <Ids label="People" hint="Ids of people, one on a line. Their names are shown to administrators." chosen={chosen} onChange={onChange} />;
  return (
    <>
      <Checks legend="People" none="Nobody is here." choices={(users.data ?? []).map(({ id, name, email }) => ({ id, name, more: email }))} chosen={chosen} onChange={onChange} />
      {users.hasNextPage && <div><Button small busy={users.isFetchingNextPage} onClick={() => void users.fetchNextPage()}>More people</Button></div>}
    </>
  );
}

interface Choice {
  id: string;
  name: string;
  more: string | null;
}

/** Ids that are chosen but not (or no longer) known stay in the list, so that they can be taken out. */
function Checks({ legend, none, choices, chosen, onChange }: ChoiceProps & { legend: string; none: string; choices: Choice[] }) {
  const known = new Set(choices.map((choice) => choice.id));
  const all = [...choices, ...chosen.filter((id) => !known.has(id)).map((id) => ({ id, name: id, more: null }))];
  return (
    <fieldset>
      <legend className="text-[0.875rem] font-medium">{legend}</legend>
      <div className="mt-1.5 flex max-h-52 flex-col gap-2 overflow-y-auto">
        {all.length === 0 && <p className="text-[0.875rem] text-faint">{none}</p>}
        {all.map(({ id, name, more }) => (
          <CheckField
            key={id}
            label={name}
            hint={more}
            checked={chosen.includes(id)}
            onChange={(event) => onChange(event.target.checked ? [...chosen, id] : chosen.filter((other) => other !== id))}
          />
        ))}
      </div>
    </fieldset>
  );
}

function Ids({ label, hint, chosen, onChange }: ChoiceProps & { label: string; hint: string }) {
  const [text, setText] = useState(chosen.join("\n"));
  return (
    <TextAreaField
      label={label}
      hint={hint}
      rows={3}
      value={text}
      onChange={(event) => {
        setText(event.target.value);
        onChange(event.target.value.split(/\s+/).filter(Boolean));
      }}
    />
  );
}
