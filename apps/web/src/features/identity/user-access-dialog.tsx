"use client";

import type { User } from "@plasma/client/types";

import { useResetFactors } from "@/data/security/mutations";
import { useEndSessionsOf } from "@/data/sessions/mutations";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { useToast } from "@/ui/toast";

export interface PendingAccess {
  kind: "sign_out" | "reset_factors";
  user: User;
}

/** What an administrator does to how somebody signs in. */
export function UserAccessDialog({ pending, onClose }: { pending: PendingAccess | null; onClose: () => void }) {
  const signOut = useEndSessionsOf();
  const reset = useResetFactors();
  const notify = useToast();
  if (!pending) return null;
  const { kind, user } = pending;
  const texts = {
    sign_out: { title: `Sign ${user.name} out everywhere?`, action: "Sign out", text: "All their sessions in this workspace end at once. They can sign in again.", said: "Signed out" },
    reset_factors: { title: `Take all second factors from ${user.name}?`, action: "Take them away", text: "For somebody who lost their authenticator, passkeys and recovery codes. Their sessions end, and their password alone signs them in. Make sure that it is really them who asks.", said: "Second factors taken away" },
  }[kind];
  const mutation = kind === "sign_out" ? signOut : reset;
  const close = () => {
    signOut.reset();
    reset.reset();
    onClose();
  };
  const confirm = () =>
    mutation.mutate(user.id, {
      onSuccess: () => {
        notify(texts.said);
        close();
      },
    });
  return (
    <ConfirmDialog open onOpenChange={(open) => !open && close()} title={texts.title} action={texts.action} busy={mutation.isPending} error={mutation.error} onConfirm={confirm}>
      {texts.text}
    </ConfirmDialog>
  );
}
