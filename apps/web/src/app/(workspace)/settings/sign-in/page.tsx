import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { SignInPage } from "@/features/identity/sign-in-page";

export const metadata: Metadata = { title: "Sign-in" };

export default function SignIn() {
  return (
    <RequirePermission permission="security:read">
      <SignInPage />
    </RequirePermission>
  );
}
