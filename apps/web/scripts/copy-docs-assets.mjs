// Copies the API reference's assets out of the installed packages: the export must not load anything from another host.
import { copyFile, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);
const target = path.resolve(import.meta.dirname, "../public/docs-assets");

/** [package, file in it, name in the export] */
const ASSETS = [
  ["swagger-ui-dist", "swagger-ui-bundle.js", "swagger-ui-bundle.js"],
  ["swagger-ui-dist", "swagger-ui-bundle.js.LICENSE.txt", "swagger-ui-bundle.js.LICENSE.txt"],
  ["swagger-ui-dist", "swagger-ui.css", "swagger-ui.css"],
  ["swagger-ui-dist", "LICENSE", "LICENSE"],
  ["swagger-ui-dist", "NOTICE", "NOTICE"],
  ["@fontsource-variable/newsreader", "files/newsreader-latin-wght-normal.woff2", "newsreader.woff2"],
  ["@fontsource-variable/instrument-sans", "files/instrument-sans-latin-wght-normal.woff2", "instrument-sans.woff2"],
  ["@fontsource-variable/jetbrains-mono", "files/jetbrains-mono-latin-wght-normal.woff2", "jetbrains-mono.woff2"],
];

await mkdir(target, { recursive: true });
for (const [name, file, output] of ASSETS) {
  const folder = path.dirname(require.resolve(`${name}/package.json`));
  await copyFile(path.join(folder, file), path.join(target, output));
}
