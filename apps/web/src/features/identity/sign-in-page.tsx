"use client";

import { useQuery } from "@tanstack/react-query";

import { loginPolicyQuery } from "@/data/login-policy/queries";
import { PageHeader, Section } from "@/ui/page-header";
import { QueryView, SkeletonRows } from "@/ui/query-view";

import { ConnectionsSection } from "./connections-section";
import { LoginPolicyForm } from "./login-policy-form";

/** How the people of the workspace must sign in. */
export function SignInPage() {
  const policy = useQuery(loginPolicyQuery);
  return (
    <>
      <PageHeader title="Sign-in" lead="How the people of this workspace must sign in. Programs with API keys are not touched." />
      <Section title="Login policy" lead="A change ends the sessions that do not fit it; yours stays.">
        <QueryView query={policy} loading={<SkeletonRows rows={4} />}>
          {(data) => <LoginPolicyForm key={data.updated_at ?? 0} policy={data} />}
        </QueryView>
      </Section>
      <ConnectionsSection />
    </>
  );
}
