"use client";

import type { LoginSession } from "@plasma/client/types";

import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Time } from "@/ui/time";

import { methodNames } from "./method-labels";

interface SessionRowProps {
  session: LoginSession;
  /** Whether to say whose it is. */
  withPerson?: boolean;
  denied?: string | null;
  onEnd: () => void;
}

export function SessionRow({ session, withPerson, denied, onEnd }: SessionRowProps) {
  return (
    <tr data-session={session.id}>
      {withPerson && <td><span className="font-medium">{session.user_name}</span><span className="block text-[0.8125rem] break-all text-soft">{session.user_email}</span></td>}
      <td data-label={withPerson ? "Device" : undefined}>
        <span title={session.user_agent ?? undefined} className={withPerson ? undefined : "font-medium"}>{session.device}</span> {session.is_current && <Badge tone="accent">This one</Badge>}
        {session.address && <span className="figure block text-[0.8125rem] text-soft">{session.address}</span>}
      </td>
      <td data-label="Signed in with">{methodNames(session.methods)}</td>
      <td data-label="Since"><Time at={session.created_at} /></td>
      <td data-label="Last used"><Time at={session.last_used_at} /></td>
      <td className="num">{!session.is_current && <Button small variant="danger" reason={denied ?? null} onClick={onEnd}>End</Button>}</td>
    </tr>
  );
}
