import type { Metadata } from "next";
import { Suspense } from "react";

import { DevicePage } from "@/features/identity/device-page";
import { PlainLoading } from "@/features/identity/plain-page";

export const metadata: Metadata = { title: "Connect a device", robots: { index: false } };

export default function Device() {
  return (
    <Suspense fallback={<PlainLoading />}>
      <DevicePage />
    </Suspense>
  );
}
