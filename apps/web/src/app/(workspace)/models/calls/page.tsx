import type { Metadata } from "next";
import { Suspense } from "react";

import { RequirePermission } from "@/features/identity/require-permission";
import { CallsPage } from "@/features/models/calls-page";

export const metadata: Metadata = { title: "Model calls" };

export default function Calls() {
  return (
    <RequirePermission permission="models:read">
      <Suspense>
        <CallsPage />
      </Suspense>
    </RequirePermission>
  );
}
