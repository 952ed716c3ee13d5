import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { BudgetsPage } from "@/features/models/budgets-page";

export const metadata: Metadata = { title: "Budgets" };

export default function Budgets() {
  return (
    <RequirePermission permission="models:read">
      <BudgetsPage />
    </RequirePermission>
  );
}
