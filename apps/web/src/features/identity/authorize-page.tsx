"use client";

import type { AuthorizationParameters, AuthorizationRequest } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { useSearchParams } from "next/navigation";
import { useEffect, useRef } from "react";

import { useDecideAuthorization } from "@/data/oauth/mutations";
import { authorizationRequestQuery } from "@/data/oauth/queries";
import { useLogout } from "@/data/session/mutations";
import { meQuery } from "@/data/session/queries";
import { Button } from "@/ui/button";
import { ProblemNote } from "@/ui/problem-note";

import { authorizationParameters, returnPlace } from "./authorization-parameters";
import { ConsentPanel } from "./consent-panel";
import { loginPath } from "./next-path";
import { PlainLoading, PlainPage } from "./plain-page";

export function AuthorizePage() {
  const parameters = authorizationParameters(useSearchParams().toString());
  if (parameters === null) {
    return (
      <PlainPage>
        <h1 className="text-[1.75rem]">This link is broken</h1>
        <p className="mt-2 text-soft">It says the same thing twice. Go back to the application and begin again.</p>
        <Home />
      </PlainPage>
    );
  }
  return <Authorization parameters={parameters} />;
}

function Authorization({ parameters }: { parameters: AuthorizationParameters }) {
  const request = useQuery(authorizationRequestQuery(parameters));
  const action = request.data?.action;
  const redirectTo = request.data?.redirect_to ?? null;

  useEffect(() => {
    if (action === "login") location.replace(loginPath());
    if (action === "redirect" && redirectTo !== null) location.replace(redirectTo);
  }, [action, redirectTo]);

  if (request.error) {
    return (
      <PlainPage>
        <h1 className="mb-4 text-[1.75rem]">This application cannot be let in</h1>
        <ProblemNote error={request.error} action={<Button small busy={request.isFetching} onClick={() => void request.refetch()}>Try again</Button>} />
        <Home />
      </PlainPage>
    );
  }
  if (request.data === undefined || action === "login" || action === "redirect") return <PlainLoading />;
  if (action === "login_again") return <LoginAgain />;
  return <Decision parameters={parameters} request={request.data} />;
}

function Decision({ parameters, request }: { parameters: AuthorizationParameters; request: AuthorizationRequest }) {
  const me = useQuery(meQuery);
  const { mutate, data, error, isPending } = useDecideAuthorization();
  const begun = useRef(false);
  const name = request.application?.name ?? "the application";

  useEffect(() => {
    // What was allowed before needs no second click; once, however often the page is drawn.
    if (request.consent_required || begun.current) return;
    begun.current = true;
    mutate({ request: parameters, allow: true });
  }, [request, parameters, mutate]);

  useEffect(() => {
    if (data) location.assign(data.redirect_to);
  }, [data]);

  if (data) {
    return (
      <PlainPage>
        <h1 className="text-[1.75rem]">Going back to {name}</h1>
        <p role="status" className="mt-2 text-soft">If nothing happens, the program has your answer already: you can close this window.</p>
      </PlainPage>
    );
  }
  if (!request.consent_required && error) {
    return <PlainPage><ProblemNote error={error} /><Home /></PlainPage>;
  }
  if (me.error) return <PlainPage><ProblemNote error={me.error} /></PlainPage>;
  if (!me.data || !request.application || !request.consent_required) return <PlainLoading />;
  return (
    <PlainPage>
      <ConsentPanel application={request.application} scopes={request.scopes} me={me.data} busy={isPending} error={error} onDecide={(allow) => mutate({ request: parameters, allow })}>
        <p>
          You go back to <strong className="text-ink">{returnPlace(parameters.redirect_uri)}</strong>. You can take this back at any time under Settings, Security.
        </p>
        <p className="mt-2"><SignOut>Not you? Sign in as somebody else</SignOut></p>
      </ConsentPanel>
    </PlainPage>
  );
}

function LoginAgain() {
  return (
    <PlainPage>
      <h1 className="text-[1.75rem]">Sign in again</h1>
      <p className="mt-2 mb-5 text-soft">The application wants to be sure that it is you, and you signed in some time ago.</p>
      <SignOut primary>Sign in again</SignOut>
    </PlainPage>
  );
}

/** Ends the session and comes back here after the next login. */
function SignOut({ primary, children }: { primary?: boolean; children: string }) {
  const logout = useLogout();
  const leave = () => logout.mutate(undefined, { onSettled: () => location.replace(loginPath()) });
  if (primary) return <Button variant="primary" busy={logout.isPending} onClick={leave}>{children}</Button>;
  return <button type="button" className="link" onClick={leave}>{children}</button>;
}

function Home() {
  return <p className="mt-5"><Link href="/" className="link">Go to Plasma instead</Link></p>;
}
