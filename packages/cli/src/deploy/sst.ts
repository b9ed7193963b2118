import { existsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { CommandError, type Output } from "../output.ts";

/** The version with which the configs in deploy/sst are tested. */
export const SST_VERSION = "4.17.1";

const STAGE = /^[A-Za-z0-9-]{1,63}$/;

/** @throws CommandError if SST would reject the name */
export function checkStage(stage: string, code: string): void {
  if (!STAGE.test(stage))
    throw new CommandError(
      code,
      `"${stage}" is not a valid stage name: use letters, digits and -, such as production or ` +
        `pr-42.`,
      64,
    );
}

/** The app's own SST, in its folder or, in a workspace, above it. Null if it is not installed. */
export function findSst(dir: string): string | null {
  const file = join(dir, "node_modules", ".bin", "sst");
  if (existsSync(file)) return file;
  const parent = dirname(dir);
  return parent === dir ? null : findSst(parent);
}

/** @throws CommandError SST_MISSING */
export function needSst(dir: string): string {
  const sst = findSst(dir);
  if (sst === null)
    throw new CommandError(
      "SST_MISSING",
      `SST is not installed in ${dir}: run \`npm install\` there, then repeat this command.`,
    );
  return sst;
}

/**
 * Runs SST in the app's folder, with its own output.
 *
 * @returns its exit code
 */
export async function runSst(
  dir: string,
  args: readonly string[],
  output: Output,
): Promise<number> {
  // Ctrl-C reaches SST too, which must end in an orderly way: this process waits for it.
  const wait = (): void => undefined;
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, wait);
  // The output of SST is not the JSON of this command.
  const child = Bun.spawn([needSst(dir), ...args], {
    cwd: dir,
    stdin: "inherit",
    stdout: output.isJson ? 2 : "inherit",
    stderr: "inherit",
  });
  const code = await child.exited;
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, wait);
  return child.signalCode === null
    ? code
    : 128 + constants.signals[child.signalCode as keyof typeof constants.signals];
}
