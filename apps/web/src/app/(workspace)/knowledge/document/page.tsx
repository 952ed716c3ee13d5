import type { Metadata } from "next";
import { Suspense } from "react";

import { RequirePermission } from "@/features/identity/require-permission";
import { DocumentPage } from "@/features/knowledge/document-page";

export const metadata: Metadata = { title: "Document" };

export default function Document() {
  return (
    <RequirePermission permission="collections:read">
      <Suspense>
        <DocumentPage />
      </Suspense>
    </RequirePermission>
  );
}
