import type { Metadata } from "next";
import { Suspense } from "react";

import { RequirePermission } from "@/features/identity/require-permission";
import { PoliciesPage } from "@/features/identity/policies-page";

export const metadata: Metadata = { title: "Policies" };

export default function Policies() {
  return (
    <RequirePermission permission="policies:read">
      <Suspense>
        <PoliciesPage />
      </Suspense>
    </RequirePermission>
  );
}
