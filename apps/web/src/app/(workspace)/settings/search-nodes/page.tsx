import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { SearchNodesPage } from "@/features/knowledge/search-nodes-page";

export const metadata: Metadata = { title: "Search nodes" };

export default function SearchNodes() {
  return (
    <RequirePermission permission="installation:read">
      <SearchNodesPage />
    </RequirePermission>
  );
}
