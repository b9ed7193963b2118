import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, resolve } from "node:path";
import { describeDatabase, peekManifest, type Config } from "@pylonsync/server";
import { error, pass, warning, type Check } from "./check.ts";

const MIN_DISK_BYTES = 100 * 1024 * 1024;
/** The minor version of Bun that Pylon is tested on. */
const WANTED_BUN = "1.4";

/** Checks whether this machine can serve the app. */
export async function checkMachine(config: Config): Promise<Check[]> {
  return [await checkPort(config), await checkDatabase(config), await checkDisk(config)];
}

/** Checks the version of the runtime. */
export function checkRuntime(version = Bun.version): Check {
  const isRight = version.startsWith(`${WANTED_BUN}.`);
  return isRight
    ? pass("runtime", `Bun ${version}`)
    : warning(
        "runtime",
        `Bun ${version}, but Pylon is tested on ${WANTED_BUN}: use the version that npm ` +
          `installs.`,
      );
}

async function checkPort({ port }: Config): Promise<Check> {
  const isFree = await new Promise<boolean>((done) => {
    const probe = createServer();
    probe.once("error", () => done(false));
    probe.listen(port, () => probe.close(() => done(true)));
  });
  return isFree
    ? pass("port", `${port} is free`)
    : warning(
        "port",
        `${port} is in use: stop the program that listens there, or choose another port with ` +
          `--port or PYLON_PORT.`,
      );
}

async function checkDatabase({ database }: Config): Promise<Check> {
  const place = describeDatabase(database);
  if (database.kind === "sqlite" && !existsSync(database.path))
    return pass("database", `${place} will be created at the first start`);
  try {
    await peekManifest(database);
    return pass("database", place);
  } catch (cause) {
    return error(
      "database",
      `${place} can't be opened: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
}

async function checkDisk({ database }: Config): Promise<Check> {
  const folder = nearestFolder(dirname(resolve(database.kind === "sqlite" ? database.path : ".")));
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const message = `${Math.round(free / 1024 / 1024)} MiB free`;
  return free >= MIN_DISK_BYTES
    ? pass("disk", message)
    : error("disk", `${message}: free some space, or writes will fail`);
}

function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path));
}
