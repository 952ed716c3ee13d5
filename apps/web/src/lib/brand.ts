"use client";

import { useEffect } from "react";

/** The part of a workspace's looks that the page's colours are made of. */
export interface BrandColors {
  accent_color: string | null;
  accent_color_dark: string | null;
}

/** What lies below marks of the accent, as in the server's check of contrast. */
const RAISED = { light: "#fcfcf9", dark: "#1a1d22" };
const HEX = /^#[0-9a-f]{6}$/;

/**
 * The page's variables for these colours; null where the program's own stay. Only what is a colour for certain gets into a
 * style: the server has checked it, and a page does not rely on that.
 */
export function brandVariables(colors: BrandColors | null | undefined): Record<string, string> | null {
  const light = colors?.accent_color ?? "";
  const dark = colors?.accent_color_dark ?? "";
  if (!HEX.test(light) || !HEX.test(dark)) return null;
  const each = (one: string, other: string) => `light-dark(${one}, ${other})`;
  return {
    "--accent": each(light, dark),
    "--accent-strong": each(`color-mix(in srgb, ${light} 75%, black)`, `color-mix(in srgb, ${dark} 75%, white)`),
    "--accent-soft": each(`color-mix(in srgb, ${light} 10%, ${RAISED.light})`, `color-mix(in srgb, ${dark} 10%, ${RAISED.dark})`),
  };
}

/** Shows the page in these colours for as long as the component is there. */
export function useBrandColors(colors: BrandColors | null | undefined): void {
  const light = colors?.accent_color ?? null;
  const dark = colors?.accent_color_dark ?? null;
  useEffect(() => {
    const variables = brandVariables({ accent_color: light, accent_color_dark: dark });
    if (!variables) return;
    const { style } = document.documentElement;
    for (const [name, value] of Object.entries(variables)) style.setProperty(name, value);
    return () => {
      for (const name of Object.keys(variables)) style.removeProperty(name);
    };
  }, [light, dark]);
}
