import type { Metadata } from "next";
import { Suspense } from "react";

import { AuthorizePage } from "@/features/identity/authorize-page";
import { PlainLoading } from "@/features/identity/plain-page";

export const metadata: Metadata = { title: "Allow an application", robots: { index: false } };

export default function Authorize() {
  return (
    <Suspense fallback={<PlainLoading />}>
      <AuthorizePage />
    </Suspense>
  );
}
