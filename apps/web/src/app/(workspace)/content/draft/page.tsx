import type { Metadata } from "next";
import { Suspense } from "react";

import { RequirePermission } from "@/features/identity/require-permission";
import { DraftPage } from "@/features/content/draft-page";

export const metadata: Metadata = { title: "New draft" };

export default function NewDraft() {
  return (
    <RequirePermission permission="content:write">
      <Suspense>
        <DraftPage />
      </Suspense>
    </RequirePermission>
  );
}
