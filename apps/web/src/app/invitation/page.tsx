import type { Metadata } from "next";
import { Suspense } from "react";

import { InvitationPage } from "@/features/identity/invitation-page";

// The link's token must not travel on to other sites.
export const metadata: Metadata = { title: "Invitation", referrer: "no-referrer" };

export default function Invitation() {
  return (
    <Suspense>
      <InvitationPage />
    </Suspense>
  );
}
