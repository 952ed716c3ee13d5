"use client";

import type { BudgetSubject, LimitSubject } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";

import { providersQuery } from "@/data/providers/queries";
import { ActorName } from "@/features/identity/actor-name";
import { TeamName } from "@/features/identity/team-name";

/** Whose calls a budget or a limit is for, by the name that people know. */
export function SubjectName({ subject }: { subject: BudgetSubject | LimitSubject }) {
  switch (subject.kind) {
    case "tenant": return <>The workspace</>;
    case "user": return <ActorName actor={{ kind: "user", id: subject.id }} />;
    case "api_key": return <ActorName actor={{ kind: "api_key", id: subject.id }} />;
    case "team": return <>Team <TeamName id={subject.id} /></>;
    case "route": return <>Route {subject.name}</>;
    case "judge": return <>The judge of answers</>;
    case "provider": return <ProviderName id={subject.id} />;
  }
}

function ProviderName({ id }: { id: string }) {
  const providers = useQuery(providersQuery);
  return <>Provider {providers.data?.find((provider) => provider.id === id)?.name ?? id}</>;
}
