"use client";

import { useQuery } from "@tanstack/react-query";

import { policySchemaQuery } from "@/data/policies/queries";
import { Section } from "@/ui/page-header";
import { QueryView, SkeletonRows } from "@/ui/query-view";

/** The types, attributes and actions that a policy may use. */
export function PolicySchema() {
  const schema = useQuery(policySchemaQuery);
  return (
    <Section
      title="What a policy may speak of"
      lead="forbid (who, what, with which thing) when { … } unless { … }; A forbid is stronger than any permit. Names of roles are words such as editor, or ids of roles; teams, people and things are named by their ids. Hours are in UTC."
    >
      <QueryView query={schema} loading={<SkeletonRows rows={3} />}>
        {(data) => <pre data-policy-schema className="figure max-h-[32rem] overflow-auto rounded-[5px] bg-sunken px-4 py-3 text-[0.8125rem]">{data.cedar}</pre>}
      </QueryView>
    </Section>
  );
}
