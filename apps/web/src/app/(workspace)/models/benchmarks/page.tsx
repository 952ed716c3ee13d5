import type { Metadata } from "next";

import { RequirePermission } from "@/features/identity/require-permission";
import { BenchmarksPage } from "@/features/models/benchmarks-page";

export const metadata: Metadata = { title: "Benchmarks" };

export default function Benchmarks() {
  return (
    <RequirePermission permission="models:read">
      <BenchmarksPage />
    </RequirePermission>
  );
}
