import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { RolesPage } from "@/features/identity/roles-page";

export const metadata: Metadata = { title: "Roles" };

export default function Roles() {
  return (
    <RequirePermission permission="roles:read">
      <RolesPage />
    </RequirePermission>
  );
}
