"use client";

import { cx } from "@/ui/cx";

/** A workspace's own picture. The hash in the address makes a new picture a new address. */
export function TenantLogo({ hash, open, className }: { hash: string; open?: boolean; className?: string }) {
  const address = open ? "/api/v1/branding/logo" : "/api/v1/tenants/current/logo";
  // The name stands beside it: the picture itself says nothing more.
  return <img src={`${address}?v=${hash}`} alt="" className={cx("max-h-8 w-auto max-w-[9rem] object-contain", className)} />;
}
