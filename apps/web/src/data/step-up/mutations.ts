import { unwrap } from "@plasma/client/client";
import { useMutation } from "@tanstack/react-query";

import { api } from "@/data/api";
import { getPasskey } from "@/lib/webauthn";

/** How somebody proves that it is still them. */
export type Proof = { password: string } | { totp: string } | "passkey";

export function useStepUp() {
  return useMutation({
    mutationFn: async (proof: Proof) => {
      if (proof !== "passkey") return unwrap(api.POST("/api/v1/auth/step-up", { body: proof }));
      const { ceremony, options } = await unwrap(api.POST("/api/v1/auth/step-up/options"));
      const credential = await getPasskey(options);
      return unwrap(api.POST("/api/v1/auth/step-up", { body: { passkey: { ceremony, credential } } }));
    },
  });
}
