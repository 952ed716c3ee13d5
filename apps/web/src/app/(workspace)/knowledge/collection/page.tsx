import type { Metadata } from "next";
import { Suspense } from "react";

import { RequirePermission } from "@/features/identity/require-permission";
import { CollectionPage } from "@/features/knowledge/collection-page";

export const metadata: Metadata = { title: "Collection" };

export default function Collection() {
  return (
    <RequirePermission permission="collections:read">
      <Suspense>
        <CollectionPage />
      </Suspense>
    </RequirePermission>
  );
}
