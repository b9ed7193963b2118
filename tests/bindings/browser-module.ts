import { afterAll } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { compile } from "svelte/compiler";

const cache = join(import.meta.dir, "../../node_modules/.cache");
mkdirSync(cache, { recursive: true });
const dir = mkdtempSync(join(cache, "bindings-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/**
 * Loads a module as a browser's bundler resolves it: on a server, Svelte and Solid resolve to
 * another build, which is not reactive. The engine stays the one of this process.
 */
export async function browserModule(path: string): Promise<unknown> {
  const { outputs } = await Bun.build({
    entrypoints: [path],
    outdir: dir,
    target: "browser",
    conditions: ["browser", "production"],
    external: ["@pylonsync/sync", "@pylonsync/sdk"],
    plugins: [
      {
        name: "svelte",
        setup(build) {
          build.onLoad({ filter: /\.svelte$/ }, async ({ path: file }) => {
            const { js } = compile(await Bun.file(file).text(), {
              filename: basename(file),
              generate: "client",
            });
            return { contents: js.code, loader: "js" };
          });
        },
      },
    ],
  });
  const [output] = outputs;
  if (output === undefined) throw new Error(`${path} was not bundled.`);
  return import(output.path);
}
