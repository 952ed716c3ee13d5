import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { ContentListPage } from "@/features/content/content-list-page";

export const metadata: Metadata = { title: "Content" };

export default function Content() {
  return (
    <RequirePermission permission="content:read">
      <ContentListPage />
    </RequirePermission>
  );
}
