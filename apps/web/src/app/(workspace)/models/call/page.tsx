import type { Metadata } from "next";
import { Suspense } from "react";

import { RequirePermission } from "@/features/identity/require-permission";
import { CallPage } from "@/features/models/call-page";

export const metadata: Metadata = { title: "Model call" };

export default function ModelCall() {
  return (
    <RequirePermission permission="models:read">
      <Suspense>
        <CallPage />
      </Suspense>
    </RequirePermission>
  );
}
