import type { Metadata } from "next";
import { Suspense } from "react";

import { AuditPage } from "@/features/governance/audit-page";
import { RequirePermission } from "@/features/identity/require-permission";
import { SkeletonRows } from "@/ui/query-view";

export const metadata: Metadata = { title: "Audit log" };

export default function Audit() {
  return (
    <RequirePermission permission="audit:read">
      <Suspense fallback={<SkeletonRows />}>
        <AuditPage />
      </Suspense>
    </RequirePermission>
  );
}
