import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { BatchesPage } from "@/features/models/batches-page";

export const metadata: Metadata = { title: "Batches" };

export default function Batches() {
  return (
    <RequirePermission permission="models:invoke">
      <BatchesPage />
    </RequirePermission>
  );
}
