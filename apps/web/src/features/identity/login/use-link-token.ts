"use client";

import { useEffect, useSyncExternalStore } from "react";

import { linkToken } from "./link-token";

let taken: string | null = null;

function take(prefix: "pll_" | "pli_"): string | null {
  if (location.hash !== "") taken = linkToken(location.hash, prefix);
  return taken;
}

const noSubscription = () => () => undefined;

/**
 * The token of the mailed link that opened this page: null when it has none, undefined before the browser has the page. It is
 * taken out of the address, so that it is neither bookmarked nor shown to whoever looks at the screen.
 */
export function useLinkToken(prefix: "pll_" | "pli_" = "pll_"): string | null | undefined {
  const token = useSyncExternalStore(noSubscription, () => take(prefix), () => undefined);
  useEffect(() => {
    if (location.hash !== "") history.replaceState(history.state, "", location.pathname + location.search);
  }, [token]);
  return token;
}
