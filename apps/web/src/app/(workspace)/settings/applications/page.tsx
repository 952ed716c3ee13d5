import type { Metadata } from "next";

import { ApplicationsPage } from "@/features/identity/applications-page";
import { RequirePermission } from "@/features/identity/require-permission";

export const metadata: Metadata = { title: "Applications" };

export default function Applications() {
  return (
    <RequirePermission permission="applications:read">
      <ApplicationsPage />
    </RequirePermission>
  );
}
