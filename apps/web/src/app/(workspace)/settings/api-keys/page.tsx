import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { ApiKeysPage } from "@/features/identity/api-keys-page";

export const metadata: Metadata = { title: "API keys" };

export default function ApiKeys() {
  return (
    <RequirePermission permission="api_keys:read">
      <ApiKeysPage />
    </RequirePermission>
  );
}
