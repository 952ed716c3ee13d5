import type { Metadata } from "next";

import { EncryptionPage } from "@/features/identity/encryption-page";
import { RequirePermission } from "@/features/identity/require-permission";

export const metadata: Metadata = { title: "Encryption" };

export default function Encryption() {
  return (
    <RequirePermission permission="encryption:write">
      <EncryptionPage />
    </RequirePermission>
  );
}
