import { renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { BunPlugin } from "bun";

/** Where an executable can run: operating system and processor. */
export const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"] as const;
/** A platform that an executable can be compiled for. */
export type Platform = (typeof PLATFORMS)[number];

/** What is compiled, for which platform, and where to. */
export interface CompileOptions {
  /** The file to write, in a folder that is there. It is there whole or not at all. */
  readonly outfile: string;
  readonly platform: Platform;
  /** The Bun of that platform, which the executable is built on. */
  readonly runtime: string;
}

/** From which it compiles, also once this file is bundled into dist/. */
const SOURCES = join(import.meta.dir, "..", "src");

/**
 * Compiles the pylon command into one executable that needs nothing else. The same sources make the
 * same bytes, in whichever folder they are.
 *
 * @throws Error with what the bundler says
 */
export async function compileExecutable({
  outfile,
  platform,
  runtime,
}: CompileOptions): Promise<void> {
  const server = pathToFileURL(Bun.resolveSync("@pylonsync/server", import.meta.dir));
  // The bundler writes the files' paths from the working folder into what it makes.
  const cwd = process.cwd();
  process.chdir(SOURCES);
  // In the folder of its destination, as a rename does not cross disks, under the same name, which
  // is part of its bytes.
  const unfinished = join(dirname(outfile), `.${basename(outfile)}.${process.pid}`);
  try {
    const { success, logs } = await Bun.build({
      entrypoints: [
        join(SOURCES, "main.ts"),
        // Started as threads, so the bundler does not find them by itself.
        fileURLToPath(new URL("functions/watchdog-worker.ts", server)),
        fileURLToPath(new URL("shard-worker.ts", server)),
        join(SOURCES, "backup", "copy-worker.ts"),
      ],
      target: "bun",
      // It starts in half the time, and with 3 MiB less, when nothing has to be parsed. Names stay,
      // for the stack traces of errors. Another platform's Bun that finds the bytecode is not its
      // own takes the text.
      format: "esm",
      bytecode: true,
      minify: { whitespace: true, syntax: true },
      // So that `pylon health` loads its own few kilobytes and not the server: a fifth of the time,
      // two thirds of the memory.
      splitting: true,
      // Code that starts a thread looks for its file beside itself.
      naming: { entry: "[name].[ext]" },
      throw: false,
      plugins: [embedTemplates],
      compile: {
        outfile: join(unfinished, "pylon"),
        target: `bun-${platform}`,
        executablePath: runtime,
        // What `pylon dev` reads, it reads itself; a file that happens to lie around must not
        // change the executable.
        autoloadDotenv: false,
        autoloadBunfig: false,
        execArgv: ["--no-install"],
      },
    });
    if (!success) throw new Error(logs.map(String).join("\n"));
    renameSync(join(unfinished, "pylon"), outfile);
  } finally {
    process.chdir(cwd);
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/**
 * An executable has no files beside itself: in place of template-files.ts it gets what each
 * function of that module answers.
 */
const embedTemplates: BunPlugin = {
  name: "embed-templates",
  setup(build) {
    build.onLoad({ filter: /[\\/]template-files\.ts$/ }, async ({ path }) => {
      const module: Readonly<Record<string, () => unknown>> = await import(path);
      const readers = Object.entries(module);
      return {
        loader: "js",
        contents: readers
          .map(
            ([name, read]) => `export function ${name}() { return ${JSON.stringify(read())}; }\n`,
          )
          .join(""),
      };
    });
  },
};
