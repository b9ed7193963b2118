import { realpathSync } from "node:fs";
import { sep } from "node:path";
import * as functions from "@pylonsync/functions";
import * as sdk from "@pylonsync/sdk";

export interface AppModule {
  readonly exports: Readonly<Record<string, unknown>>;
  /** What it printed with console.log while it was loaded. */
  readonly printed: readonly string[];
}

/** What an app folder may import without an install: the server's own copies. */
const OWN_COPIES: ReadonlyMap<string, object> = new Map<string, object>([
  ["@pylonsync/sdk", sdk],
  ["@pylonsync/functions", functions],
]);

/** Offered to the whole process once an app needed them. */
const offered = new Set<string>();

/**
 * Imports a file of an app.
 *
 * @param root the app's folder
 * @throws what the module throws
 */
export async function importAppFile(file: string, root: string): Promise<AppModule> {
  offerOwnCopies(root);
  const printed: string[] = [];
  const print = console.log;
  console.log = (...values: unknown[]) => {
    printed.push(
      values.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(" "),
    );
  };
  try {
    return { exports: (await import(file)) as Record<string, unknown>, printed };
  } finally {
    console.log = print;
  }
}

/** An app that installed a package gets its own. */
function offerOwnCopies(root: string): void {
  for (const [name, exports] of OWN_COPIES) {
    if (offered.has(name) || isInstalled(name, root)) continue;
    offered.add(name);
    Bun.plugin({
      name: `pylon-own-copy-of-${name}`,
      setup: (build) =>
        void build.module(name, () => ({ exports: { ...exports }, loader: "object" })),
    });
  }
}

function isInstalled(name: string, root: string): boolean {
  try {
    Bun.resolveSync(name, root);
    return true;
  } catch {
    return false;
  }
}

/**
 * Forgets what was loaded from the app's folder, so that the next import reads the files anew; its
 * node_modules stay.
 */
export function forgetApp(root: string): void {
  const inside = realpathSync(root) + sep;
  for (const path of Object.keys(require.cache)) {
    if (path.startsWith(inside) && !path.includes(`${sep}node_modules${sep}`))
      delete require.cache[path];
  }
}
