import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { UsersPage } from "@/features/identity/users-page";

export const metadata: Metadata = { title: "Users" };

export default function Users() {
  return (
    <RequirePermission permission="users:read">
      <UsersPage />
    </RequirePermission>
  );
}
