import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { defineCommand } from "../command.ts";
import { compileExecutable, PLATFORMS, type Platform } from "../compile-executable.ts";
import { CommandError, EXIT } from "../output.ts";

const HOST = `${process.platform}-${process.arch}`;

/** `pylon compile`: compiles the command into one executable. */
export const compile = defineCommand({
  name: "compile",
  args: [],
  summary: "Compile this command into a single self-contained executable.",
  options: {
    out: { type: "string", value: "FILE", summary: "The output file; default pylon." },
    target: {
      type: "string",
      value: PLATFORMS.join("|"),
      summary:
        "The target platform; default this one. The Bun runtime of another platform is " +
        "downloaded from npm.",
    },
  },
  async run({ options, output }) {
    if (Bun.isStandaloneExecutable)
      throw new CommandError(
        "COMPILE_IS_EXECUTABLE",
        `This command is already a single executable: copy ${process.execPath}.`,
      );
    const outfile = resolve(options.out ?? "pylon");
    if (existsSync(outfile) && statSync(outfile).isDirectory())
      throw new CommandError(
        "COMPILE_OUT_IS_FOLDER",
        `--out ${options.out ?? "pylon"} is a folder: specify a file.`,
        EXIT.USAGE,
      );
    const platform = platformOf(options.target ?? HOST);
    mkdirSync(dirname(outfile), { recursive: true });
    const scratch = mkdtempSync(join(tmpdir(), "pylon-compile-"));
    try {
      await compileExecutable({
        outfile,
        platform,
        runtime: platform === HOST ? process.execPath : runtimeOf(platform, scratch),
      });
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
    const bytes = statSync(outfile).size;
    output.say(`Created ${outfile} for ${platform}: ${Math.round(bytes / 1e6)} MB.`);
    output.json({ code: "COMPILE_OK", file: outfile, platform, bytes });
    return EXIT.OK;
  },
});

/** @throws CommandError COMPILE_UNKNOWN_TARGET */
function platformOf(name: string): Platform {
  const platform = PLATFORMS.find((candidate) => candidate === name);
  if (platform === undefined)
    throw new CommandError(
      "COMPILE_UNKNOWN_TARGET",
      `Executables for ${name} are not supported: --target takes ${PLATFORMS.join(", ")}.`,
      EXIT.USAGE,
    );
  return platform;
}

/**
 * Returns the Bun of another platform, in the version that is running, from its npm package.
 *
 * @throws CommandError COMPILE_NO_RUNTIME
 */
function runtimeOf(platform: Platform, scratch: string): string {
  const name = `@oven/bun-${platform.replace("arm64", "aarch64")}@${Bun.version}`;
  const packed = spawnSync("npm", ["pack", name, "--silent", "--pack-destination", scratch], {
    encoding: "utf8",
  });
  const file = packed.status === 0 ? packed.stdout.trim() : "";
  const unpacked =
    file !== "" && spawnSync("tar", ["-xzf", join(scratch, file), "-C", scratch]).status === 0;
  if (!unpacked)
    throw new CommandError(
      "COMPILE_NO_RUNTIME",
      `npm could not download ${name}, which an executable for ${platform} requires: ` +
        `${packed.stderr?.trim() || "see `npm pack`"}`,
      EXIT.UNAVAILABLE,
    );
  return join(scratch, "package", "bin", "bun");
}
