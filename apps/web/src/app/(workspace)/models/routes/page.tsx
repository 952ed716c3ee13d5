import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { RoutesPage } from "@/features/models/routes-page";

export const metadata: Metadata = { title: "Routes" };

export default function Routes() {
  return (
    <RequirePermission permission="models:read">
      <RoutesPage />
    </RequirePermission>
  );
}
