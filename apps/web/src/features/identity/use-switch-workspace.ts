"use client";

import { asProblem } from "@plasma/client/problem";

import { useEnterTenant } from "@/data/tenants/mutations";
import { useToast } from "@/ui/toast";

import { isPending, leavePendingLogin } from "./pending-login";

/** Goes on in another of one's workspaces: the whole page starts anew there, so that nothing of this one is left in it. */
export function useSwitchWorkspace() {
  const mutation = useEnterTenant();
  const notify = useToast();
  const enter = (tenant: string, next = "/") =>
    mutation.mutate(tenant, {
      onSuccess: (answer) => {
        if (isPending(answer)) {
          leavePendingLogin(answer);
          location.assign("/login/");
        } else {
          location.assign(next);
        }
      },
      onError: (error) => {
        const { detail, remedy } = asProblem(error);
        notify([detail, remedy].filter(Boolean).join(": "), "bad");
      },
    });
  return { enter, entering: mutation.isPending, error: mutation.error };
}
