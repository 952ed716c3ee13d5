import type { Metadata } from "next";

import { ResetPage } from "@/features/identity/login/reset-page";

export const metadata: Metadata = { title: "Set a new password" };

export default function ResetPassword() {
  return <ResetPage />;
}
