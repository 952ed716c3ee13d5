"use client";

import { asProblem } from "@plasma/client/problem";
import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "next/navigation";
import { useState, type SyntheticEvent } from "react";

import { useDecideDevice, useFindDeviceRequest } from "@/data/oauth/mutations";
import { meQuery } from "@/data/session/queries";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { ConsentPanel } from "./consent-panel";
import { PlainLoading, PlainPage } from "./plain-page";
import { isWhole, userCode } from "./user-code";

/** Where the code of a program without a browser is typed. */
export function DevicePage() {
  // Whoever is not signed in is sent to sign in, and comes back with the code.
  const me = useQuery(meQuery);
  const given = userCode(useSearchParams().get("code") ?? "");
  const [code, setCode] = useState(given);
  const find = useFindDeviceRequest();
  const decide = useDecideDevice();

  if (me.error && asProblem(me.error).status !== 401) return <PlainPage><ProblemNote error={me.error} /></PlainPage>;
  if (!me.data) return <PlainLoading />;
  if (decide.isSuccess) return <PlainPage><Done allowed={decide.variables.allow} name={find.data?.application.name ?? "The application"} /></PlainPage>;
  if (find.data) {
    return (
      <PlainPage>
        <ConsentPanel application={find.data.application} scopes={find.data.scopes} me={me.data} busy={decide.isPending} error={decide.error} onDecide={(allow) => decide.mutate({ userCode: code, allow })}>
          <p className="rounded-[5px] border-l-3 border-warn bg-warn-soft px-4 py-3 text-ink">
            Only allow this if you began it yourself just now, and your own device shows the code <strong className="figure whitespace-nowrap">{code}</strong>. Somebody who sent you here wants to act in your name.
          </p>
        </ConsentPanel>
      </PlainPage>
    );
  }

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (isWhole(code)) find.mutate(code);
  };
  return (
    <PlainPage>
      <form onSubmit={submit} className="flex flex-col items-start gap-4">
        <div>
          <h1 className="text-[1.75rem]">Connect a device</h1>
          <p className="mt-2 text-soft">Type the code that your device or terminal shows.</p>
        </div>
        <TextField
          label="Code"
          required
          autoComplete="off"
          autoCapitalize="characters"
          spellCheck={false}
          inputMode="text"
          placeholder="BCDF-GHJK"
          value={code}
          onChange={(event) => setCode(userCode(event.target.value))}
          className="w-full"
        />
        {find.error ? <ProblemNote error={find.error} className="w-full" /> : null}
        <Button type="submit" variant="primary" busy={find.isPending} disabled={!isWhole(code)}>Continue</Button>
      </form>
    </PlainPage>
  );
}

function Done({ allowed, name }: { allowed: boolean; name: string }) {
  return (
    <div role="status">
      <h1 className="text-[1.75rem]">{allowed ? "You are connected" : "Refused"}</h1>
      <p className="mt-2 text-soft">
        {allowed
          ? `${name} goes on by itself in a few seconds. You can close this window, and take this back at any time under Settings, Security.`
          : `${name} gets no access. If you did not begin this, there is nothing more to do.`}
      </p>
    </div>
  );
}
