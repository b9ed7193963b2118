import { readFileSync } from "node:fs";
import { join } from "node:path";

const PAGE = join(import.meta.dir, "..", "..", "docs", "deploy", "sizing.md");

/** The number of idle sockets that docs/deploy/sizing.md promises for the smallest container. */
export const IDLE_SOCKETS = Number(
  /^\| idle sockets \| ([\d,]+) \|/m.exec(readFileSync(PAGE, "utf8"))?.[1]?.replaceAll(",", ""),
);
if (!Number.isSafeInteger(IDLE_SOCKETS))
  throw new Error("docs/deploy/sizing.md has no row of idle sockets.");
