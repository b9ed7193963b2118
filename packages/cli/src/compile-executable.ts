import { renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { BunPlugin } from "bun";

/** The platforms of executables: operating system and processor. */
export const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"] as const;
/** A platform for which an executable can be compiled. */
export type Platform = (typeof PLATFORMS)[number];

/** The input, the platform and the output of a compilation. */
export interface CompileOptions {
  /** The file to write, in an existing folder. It is written completely or not at all. */
  readonly outfile: string;
  readonly platform: Platform;
  /** The Bun of that platform, on which the executable is based. */
  readonly runtime: string;
}

/** The sources that it compiles, also if this file is bundled into dist/. */
const SOURCES = join(import.meta.dir, "..", "src");

/**
 * Compiles the pylon command into one executable without dependencies. The same sources produce the
 * same bytes, in any folder.
 *
 * @throws Error with the message of the bundler
 */
export async function compileExecutable({
  outfile,
  platform,
  runtime,
}: CompileOptions): Promise<void> {
  const { studioFiles } = await import("@pylonsync/studio");
  const studio = await studioFiles();
  const server = pathToFileURL(Bun.resolveSync("@pylonsync/server", import.meta.dir));
  // The bundler includes the files' paths, relative to the working folder, in its output.
  const cwd = process.cwd();
  process.chdir(SOURCES);
  // In the folder of its destination, because a rename does not cross disks, and under the same
  // name, which is part of its bytes.
  const unfinished = join(dirname(outfile), `.${basename(outfile)}.${process.pid}`);
  try {
    const { success, logs } = await Bun.build({
      entrypoints: [
        join(SOURCES, "main.ts"),
        // Started as threads, so the bundler does not find them automatically.
        fileURLToPath(new URL("functions/watchdog-worker.ts", server)),
        fileURLToPath(new URL("shard-worker.ts", server)),
        join(SOURCES, "backup", "copy-worker.ts"),
      ],
      target: "bun",
      // Without parsing it starts in half the time, with 3 MiB less. Names stay, for the stack
      // traces of errors. A Bun of another platform that does not accept the bytecode uses the
      // text.
      format: "esm",
      bytecode: true,
      minify: { whitespace: true, syntax: true },
      // Packages may name their own folder, for files that an executable does not have. It would be
      // a path of the machine that compiles, and other bytes in each folder.
      define: { __dirname: '"/"', __filename: '"/"' },
      // So that `pylon health` loads its own few kilobytes and not the server: a fifth of the time,
      // two thirds of the memory.
      splitting: true,
      // Code that starts a thread looks for its file in its own folder.
      naming: { entry: "[name].[ext]" },
      throw: false,
      plugins: [embedTemplates, embedStudio(studio)],
      compile: {
        outfile: join(unfinished, "pylon"),
        target: `bun-${platform}`,
        executablePath: runtime,
        // `pylon dev` reads its files itself; an unrelated file must not change the executable.
        autoloadDotenv: false,
        autoloadBunfig: false,
        // An app imports its packages by their exports, and its files by the paths of its tsconfig.
        autoloadPackageJson: true,
        autoloadTsconfig: true,
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
 * In the sources of Pylon, Studio's page is built when it is requested; an executable has no
 * sources, so it contains the built page. The published package contains it already.
 *
 * @param files the built page
 */
function embedStudio(files: ReadonlyMap<string, object>): BunPlugin {
  const contents =
    `const FILES = new Map(${JSON.stringify([...files])});\n` +
    "export async function studioFiles() { return FILES; }\n";
  return {
    name: "embed-studio",
    setup(build) {
      const filter = /[\\/]studio[\\/]src[\\/]files\.ts$/;
      build.onLoad({ filter }, () => ({ loader: "js", contents }));
    },
  };
}

/**
 * An executable has no files beside it: template-files.ts is replaced by the results of each of its
 * functions.
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
