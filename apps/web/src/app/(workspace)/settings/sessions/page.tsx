import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { SessionsPage } from "@/features/identity/sessions-page";

export const metadata: Metadata = { title: "Sessions" };

export default function Sessions() {
  return (
    <RequirePermission permission="sessions:read">
      <SessionsPage />
    </RequirePermission>
  );
}
