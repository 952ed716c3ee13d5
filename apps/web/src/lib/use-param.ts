"use client";

import { useSearchParams } from "next/navigation";
import { useCallback } from "react";

/** Changes parameters of the address without leaving the page; null removes one. Next follows `history` by itself. */
export function useSetParams(): (changes: Record<string, string | null>, how?: "push" | "replace") => void {
  return useCallback((changes, how = "replace") => {
    const url = new URL(location.href);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "") url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    if (how === "push") history.pushState(null, "", url);
    else history.replaceState(null, "", url);
  }, []);
}

export function useParam(name: string): string | null {
  return useSearchParams().get(name);
}
