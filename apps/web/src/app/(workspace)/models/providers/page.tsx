import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { ProvidersPage } from "@/features/models/providers-page";

export const metadata: Metadata = { title: "Providers" };

export default function Providers() {
  return (
    <RequirePermission permission="models:read">
      <ProvidersPage />
    </RequirePermission>
  );
}
