import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { ModelsPage } from "@/features/models/models-page";

export const metadata: Metadata = { title: "Models" };

export default function Models() {
  return (
    <RequirePermission permission="models:read">
      <ModelsPage />
    </RequirePermission>
  );
}
