import type { Metadata } from "next";
import { Suspense } from "react";

import { LoginPage } from "@/features/identity/login/login-page";

export const metadata: Metadata = { title: "Sign in" };

export default function Login() {
  return (
    <Suspense>
      <LoginPage />
    </Suspense>
  );
}
