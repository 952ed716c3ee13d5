import type { Metadata } from "next";
import { Suspense } from "react";

import { RequirePermission } from "@/features/identity/require-permission";
import { PromptPage } from "@/features/models/prompt-page";

export const metadata: Metadata = { title: "Prompt" };

export default function Prompt() {
  return (
    <RequirePermission permission="models:read">
      <Suspense>
        <PromptPage />
      </Suspense>
    </RequirePermission>
  );
}
