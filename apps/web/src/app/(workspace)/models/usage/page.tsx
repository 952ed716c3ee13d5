import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { UsagePage } from "@/features/models/usage-page";

export const metadata: Metadata = { title: "Usage" };

export default function Usage() {
  return (
    <RequirePermission permission="models:read">
      <UsagePage />
    </RequirePermission>
  );
}
