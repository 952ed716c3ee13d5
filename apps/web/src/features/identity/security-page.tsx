"use client";

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { mySecurityQuery } from "@/data/security/queries";
import { formatDateTime } from "@/lib/format";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";

import { GrantsSection } from "./grants-section";
import { LinkedAccountsSection } from "./linked-accounts-section";
import { MySessionsSection } from "./my-sessions-section";
import { PasskeysSection } from "./passkeys-section";
import { PasswordSection } from "./password-section";
import { useMe } from "./session";
import { RecoveryCodesDialog, RecoveryCodesSection, TotpSection } from "./totp-section";

/** How one signs in, and where one is signed in. */
export function SecurityPage() {
  const me = useMe();
  return (
    <>
      <PageHeader title="Security" lead="How you sign in, and where you are signed in." />
      {me.user ? <Sections email={me.user.email} /> : <EmptyState title="For people only">A program has no password and no passkeys.</EmptyState>}
    </>
  );
}

function Sections({ email }: { email: string }) {
  const security = useQuery(mySecurityQuery);
  const [codes, setCodes] = useState<string[] | null>(null);
  return (
    <>
      <QueryView query={security} loading={<SkeletonRows rows={4} tall />}>
        {(overview) => (
          <>
            {overview.enroll_by !== null && (
              <p role="status" className="mb-8 rounded-[5px] border-l-3 border-warn bg-warn-soft px-4 py-3">
                Your workspace requires a second factor. Set one up by {formatDateTime(overview.enroll_by)}: an authenticator or a passkey.
              </p>
            )}
            <PasskeysSection passkeys={overview.passkeys} onCodes={setCodes} />
            <TotpSection overview={overview} onCodes={setCodes} />
            <RecoveryCodesSection overview={overview} onCodes={setCodes} />
            <PasswordSection email={email} hasPassword={overview.has_password} />
          </>
        )}
      </QueryView>
      <LinkedAccountsSection />
      <GrantsSection />
      <MySessionsSection />
      <RecoveryCodesDialog codes={codes} onClose={() => setCodes(null)} />
    </>
  );
}
