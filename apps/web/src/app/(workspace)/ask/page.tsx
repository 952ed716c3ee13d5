import type { Metadata } from "next";
import { Suspense } from "react";

import { RequirePermission } from "@/features/identity/require-permission";
import { AskPage } from "@/features/ask/ask-page";

export const metadata: Metadata = { title: "Ask" };

export default function Ask() {
  return (
    <RequirePermission permission="search:query">
      <Suspense>
        <AskPage />
      </Suspense>
    </RequirePermission>
  );
}
