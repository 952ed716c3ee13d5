import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { QualityPage } from "@/features/models/quality-page";

export const metadata: Metadata = { title: "Quality" };

export default function Quality() {
  return (
    <RequirePermission permission="models:read">
      <QualityPage />
    </RequirePermission>
  );
}
