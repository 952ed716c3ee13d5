import type { Metadata } from "next";
import { Suspense } from "react";

import { RequirePermission } from "@/features/identity/require-permission";
import { PromptsPage } from "@/features/models/prompts-page";

export const metadata: Metadata = { title: "Prompts" };

export default function Prompts() {
  return (
    <RequirePermission permission="models:read">
      <Suspense>
        <PromptsPage />
      </Suspense>
    </RequirePermission>
  );
}
