import "./globals.css";

import type { Metadata, Viewport } from "next";
import type { ReactNode } from "react";

import { Providers } from "@/shell/providers";

export const metadata: Metadata = {
  title: { default: "Plasma", template: "%s · Plasma" },
  description: "Knowledge, models and content of your team, under your own control.",
  icons: { icon: "/icon.svg" },
};

export const viewport: Viewport = {
  width: "device-width",
  initialScale: 1,
  viewportFit: "cover",
  themeColor: [
    { media: "(prefers-color-scheme: light)", color: "#eaeae3" },
    { media: "(prefers-color-scheme: dark)", color: "#0d0f12" },
  ],
};

export default function RootLayout({ children }: { children: ReactNode }) {
  return (
    // theme.js may set data-theme before hydration.
    <html lang="en" suppressHydrationWarning>
      <head>
        {/* Synchronous on purpose: a chosen theme must stand before the first paint. */}
        <script src="/theme.js" />
      </head>
      <body>
        <Providers>{children}</Providers>
      </body>
    </html>
  );
}
