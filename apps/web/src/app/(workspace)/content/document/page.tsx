import type { Metadata } from "next";
import { Suspense } from "react";

import { RequirePermission } from "@/features/identity/require-permission";
import { EditorPage } from "@/features/content/editor-page";

export const metadata: Metadata = { title: "Content document" };

export default function ContentDocument() {
  return (
    <RequirePermission permission="content:read">
      <Suspense>
        <EditorPage />
      </Suspense>
    </RequirePermission>
  );
}
