import type { NextConfig } from "next";
import path from "node:path";

const config: NextConfig = {
  // The files of `out/` are embedded into the `plasma` binary and served from `/`: nothing here may need a Node server.
  output: "export",
  trailingSlash: true,
  reactStrictMode: true,
  poweredByHeader: false,
  images: { unoptimized: true },
  transpilePackages: ["@plasma/client"],
  turbopack: { root: path.resolve(import.meta.dirname, "../..") },
};

export default config;
