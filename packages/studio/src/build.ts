import { join } from "node:path";
import type { StudioFile } from "./files.ts";

const PAGE = join(import.meta.dir, "page");

/** Bundles the page's script and styles. @throws AggregateError */
export async function buildFiles(): Promise<ReadonlyMap<string, StudioFile>> {
  const { outputs } = await Bun.build({
    entrypoints: [join(PAGE, "studio.tsx")],
    target: "browser",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const page = await Bun.file(join(PAGE, "index.html")).text();
  const files = new Map<string, StudioFile>([["index.html", { type: "text/html", text: page }]]);
  for (const output of outputs) {
    const name = output.path.replace(/^.*[\\/]/, "");
    const type = name.endsWith(".css") ? "text/css" : "text/javascript";
    files.set(name, { type, text: await output.text() });
  }
  return files;
}
