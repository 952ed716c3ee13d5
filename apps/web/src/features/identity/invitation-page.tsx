"use client";

import type { InvitationPreview, Me } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useEffect, type ReactNode } from "react";

import { useJoinByInvitation } from "@/data/invitations/mutations";
import { invitationPreviewQuery } from "@/data/invitations/queries";
import { useLogout } from "@/data/session/mutations";
import { visitorQuery } from "@/data/session/queries";
import { useBrandColors } from "@/lib/brand";
import { formatDateTime } from "@/lib/format";
import { Wordmark } from "@/shell/wordmark";
import { Button, ButtonLink } from "@/ui/button";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";

import { InvitationForm } from "./invitation-form";
import { forgetInvitationToken, invitationToken, keepInvitationToken } from "./invitation-token";
import { useLinkToken } from "./login/use-link-token";
import { roleLabel } from "./role-labels";
import { useSwitchWorkspace } from "./use-switch-workspace";

/** Where the link of an invitation leads: to a new account, or into another workspace with the one that somebody has. */
export function InvitationPage() {
  const inAddress = useLinkToken("pli_");
  useEffect(() => {
    if (inAddress) keepInvitationToken(inAddress);
  }, [inAddress]);
  // Before the browser has the page nothing is known of its address.
  if (inAddress === undefined) return null;
  const token = invitationToken(inAddress);
  return (
    <main className="grid min-h-dvh content-center px-6 py-12">
      <div className="mx-auto w-full max-w-md">
        <div className="mb-10"><Wordmark /></div>
        {token === null ? (
          <>
            <h1 className="text-[2.25rem]">No invitation</h1>
            <p className="mt-2 text-soft">The address has no invitation in it. Open the link in the mail again; if it was broken over two lines, copy all of it.</p>
          </>
        ) : (
          <Invitation token={token} />
        )}
      </div>
    </main>
  );
}

function Invitation({ token }: { token: string }) {
  const preview = useQuery(invitationPreviewQuery(token));
  const visitor = useQuery(visitorQuery);
  useBrandColors(preview.data);
  return (
    <QueryView query={preview} loading={<SkeletonRows rows={3} />}>
      {(invitation) => (
        <>
          <h1 className="text-[2.25rem] break-words">Join {invitation.tenant_name}</h1>
          <p className="mt-2 text-soft">
            You are invited as {roleLabel(invitation.role).toLowerCase()}, under <span className="break-all text-ink">{invitation.email}</span>. The invitation ends on {formatDateTime(invitation.expires_at)}.
          </p>
          <div className="mt-7">
            {visitor.isPending ? <SkeletonRows rows={1} /> : <Answer invitation={invitation} token={token} visitor={visitor.data ?? null} />}
          </div>
        </>
      )}
    </QueryView>
  );
}

function Answer({ invitation, token, visitor }: { invitation: InvitationPreview; token: string; visitor: Me | null }) {
  const email = visitor?.user?.email ?? null;
  if (visitor && email !== invitation.email) return <OtherPerson email={email ?? "an API key"} invited={invitation.email} />;
  if (visitor) return <Join token={token} name={invitation.tenant_name} />;
  if (invitation.has_account) {
    return (
      <Ways text="You have an account on this installation already. Sign in with it; this page then goes on.">
        <ButtonLink variant="primary" href="/login/?next=%2Finvitation%2F">Sign in</ButtonLink>
      </Ways>
    );
  }
  return <InvitationForm token={token} email={invitation.email} />;
}

function Join({ token, name }: { token: string; name: string }) {
  const join = useJoinByInvitation();
  const { enter, entering, error } = useSwitchWorkspace();
  const submit = () =>
    join.mutate(token, {
      onSuccess: (membership) => {
        forgetInvitationToken();
        enter(membership.tenant.id);
      },
    });
  const problem = join.error ?? error;
  const joined = join.data;
  return (
    <Ways text="You are signed in with the invited address. The workspaces that you have stay.">
      {problem ? <ProblemNote error={problem} className="w-full" /> : null}
      {joined
        ? <Button variant="primary" busy={entering} onClick={() => enter(joined.tenant.id)}>Go to {name}</Button>
        : <Button variant="primary" busy={join.isPending} onClick={submit}>Join</Button>}
      <ButtonLink variant="quiet" href="/">Not now</ButtonLink>
    </Ways>
  );
}

function OtherPerson({ email, invited }: { email: string; invited: string }) {
  const logout = useLogout();
  return (
    <Ways text={<>You are signed in as <span className="break-all text-ink">{email}</span>, and the invitation went to <span className="break-all text-ink">{invited}</span>. Sign out to go on.</>}>
      {logout.error ? <ProblemNote error={logout.error} className="w-full" /> : null}
      <Button variant="primary" busy={logout.isPending} onClick={() => logout.mutate(undefined, { onSuccess: () => location.reload() })}>Sign out</Button>
      <ButtonLink variant="quiet" href="/">Not now</ButtonLink>
    </Ways>
  );
}

function Ways({ text, children }: { text: ReactNode; children: ReactNode }) {
  return (
    <>
      <p>{text}</p>
      <div className="mt-5 flex flex-wrap gap-2.5">{children}</div>
    </>
  );
}
