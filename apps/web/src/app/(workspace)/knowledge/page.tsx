import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { CollectionsPage } from "@/features/knowledge/collections-page";

export const metadata: Metadata = { title: "Knowledge" };

export default function Knowledge() {
  return (
    <RequirePermission permission="collections:read">
      <CollectionsPage />
    </RequirePermission>
  );
}
