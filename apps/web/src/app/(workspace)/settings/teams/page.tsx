import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { TeamsPage } from "@/features/identity/teams-page";

export const metadata: Metadata = { title: "Teams" };

export default function Teams() {
  return (
    <RequirePermission permission="teams:read">
      <TeamsPage />
    </RequirePermission>
  );
}
