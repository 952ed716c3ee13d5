"use client";

import { useQuery } from "@tanstack/react-query";

import { brandingQuery } from "@/data/tenants/queries";
import { useBrandColors } from "@/lib/brand";

/** Shows the dashboard in the workspace's own colours. Without an answer it stays in the program's. */
export function BrandColors() {
  useBrandColors(useQuery(brandingQuery).data);
  return null;
}
