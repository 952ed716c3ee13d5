"use client";

import type { LinkedAccount } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { Suspense, useState } from "react";

import { useLinkAccount, useUnlinkAccount } from "@/data/linked-accounts/mutations";
import { linkedAccountsQuery } from "@/data/linked-accounts/queries";
import { useParam } from "@/lib/use-param";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { presetLabel } from "./connection-presets";
import { SsoProblemNote } from "./sso-notice";

/** The person's own accounts at the workspace's identity providers; for the security page. */
export function LinkedAccountsSection() {
  // What has just happened stands in the address, which is known only in the browser.
  return <Suspense><LinkedAccounts /></Suspense>;
}

function LinkedAccounts() {
  const accounts = useQuery(linkedAccountsQuery);
  const link = useLinkAccount();
  const unlink = useUnlinkAccount();
  const justLinked = useParam("linked");
  const [removing, setRemoving] = useState<LinkedAccount | null>(null);
  const close = () => {
    unlink.reset();
    setRemoving(null);
  };
  return (
    <Section title="Linked accounts" lead="Sign in with an account that you have elsewhere. Once it is linked, it stays yours, whatever becomes of its e-mail.">
      <SsoProblemNote className="mb-4" />
      {link.error ? <ProblemNote error={link.error} className="mb-4" /> : null}
      <QueryView
        query={accounts}
        loading={<SkeletonRows rows={2} />}
        isEmpty={(data) => data.length === 0}
        empty={<p className="border-y border-rule py-5 text-soft">Your workspace is connected to no identity provider.</p>}
      >
        {(data) => (
          <ul className="border-t border-rule">
            {data.map((account) => (
              <li key={account.connection} data-connection={account.connection} className="flex flex-wrap items-center justify-between gap-3 border-b border-rule py-4">
                <div className="min-w-0">
                  <span className="font-medium break-words">{account.name}</span> <span className="text-faint">{presetLabel(account.preset)}</span>
                  {account.linked ? (
                    <span className="block text-[0.875rem] break-all text-soft">
                      {account.email ?? "An account without an e-mail"}
                      {account.last_login_at !== null && <>, used <Time at={account.last_login_at} /></>}
                    </span>
                  ) : (
                    <span className="block text-[0.875rem] text-soft">Not linked</span>
                  )}
                  {account.linked && justLinked === account.connection && <span className="mt-1 block"><Badge tone="good">Linked just now</Badge></span>}
                </div>
                {account.linked ? (
                  <Button small onClick={() => setRemoving(account)}>Unlink</Button>
                ) : (
                  <Button
                    small
                    busy={link.isPending && link.variables === account.connection}
                    onClick={() => link.mutate(account.connection, { onSuccess: ({ url }) => location.assign(url) })}
                  >
                    Link an account
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </QueryView>
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && close()}
        title={`Unlink your account at “${removing?.name ?? ""}”?`}
        action="Unlink"
        busy={unlink.isPending}
        error={unlink.error}
        onConfirm={() => removing && unlink.mutate(removing.connection, { onSuccess: close })}
      >
        It no longer opens your user here, and sessions that began with it end. Make sure that you can sign in in another way.
      </ConfirmDialog>
    </Section>
  );
}
