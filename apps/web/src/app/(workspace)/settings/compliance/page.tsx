import type { Metadata } from "next";
import { Suspense } from "react";

import { CompliancePage } from "@/features/governance/compliance-page";
import { RequirePermission } from "@/features/identity/require-permission";

export const metadata: Metadata = { title: "Compliance" };

export default function Compliance() {
  return (
    <RequirePermission permission="compliance:read">
      <Suspense>
        <CompliancePage />
      </Suspense>
    </RequirePermission>
  );
}
