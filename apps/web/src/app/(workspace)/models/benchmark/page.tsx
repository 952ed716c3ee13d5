import type { Metadata } from "next";
import { Suspense } from "react";

import { RequirePermission } from "@/features/identity/require-permission";
import { BenchmarkPage } from "@/features/models/benchmark-page";

export const metadata: Metadata = { title: "Benchmark" };

export default function Benchmark() {
  return (
    <RequirePermission permission="models:read">
      <Suspense>
        <BenchmarkPage />
      </Suspense>
    </RequirePermission>
  );
}
