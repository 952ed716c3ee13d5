// Copies the API reference's assets out of the installed package: the export must not load anything from another host.
import { copyFile, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

const source = path.dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
const target = path.resolve(import.meta.dirname, "../public/docs-assets");

await mkdir(target, { recursive: true });
for (const file of ["swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "swagger-ui.css", "LICENSE", "NOTICE"]) {
  await copyFile(path.join(source, file), path.join(target, file));
}
