import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { TenantsPage } from "@/features/identity/tenants-page";

export const metadata: Metadata = { title: "Workspaces" };

export default function Tenants() {
  return (
    <RequirePermission permission="installation:manage">
      <TenantsPage />
    </RequirePermission>
  );
}
