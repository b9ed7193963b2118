import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as functions from "@pylonsync/functions";
import * as functionPlugins from "@pylonsync/functions/plugins";
import * as simulation from "@pylonsync/functions/simulation";
import * as sdk from "@pylonsync/sdk";
import * as sdkPlugins from "@pylonsync/sdk/plugins";
import * as workflows from "@pylonsync/workflows";
import pkg from "../../package.json" with { type: "json" };

/** The packages that an app imports, as the server has them. */
const OWN_COPIES: ReadonlyMap<string, object> = new Map<string, object>([
  ["@pylonsync/sdk", sdk],
  ["@pylonsync/sdk/plugins", sdkPlugins],
  ["@pylonsync/functions", functions],
  ["@pylonsync/functions/plugins", functionPlugins],
  ["@pylonsync/functions/simulation", simulation],
  ["@pylonsync/workflows", workflows],
]);

/** The exact version of each package that the server depends on. */
const OWN_VERSIONS: Readonly<Record<string, string>> = pkg.dependencies;

/** What is available to the whole process since an app needed it. */
const offered = new Set<string>();

/**
 * Lets an app import the server's own copies of Pylon's packages, which need not be installed then.
 * They also replace installed ones of the same version: loading those a second time would take a
 * quarter of the start and 3 MB of memory. An app that has installed another version uses that.
 *
 * @param root the app's folder
 */
export function offerOwnCopies(root: string): void {
  for (const [name, exports] of OWN_COPIES) {
    if (offered.has(name) || hasOtherVersion(name, root)) continue;
    offered.add(name);
    Bun.plugin({
      name: `pylon-own-copy-of-${name}`,
      setup: (build) =>
        void build.module(name, () => ({ exports: { ...exports }, loader: "object" })),
    });
  }
}

function hasOtherVersion(name: string, root: string): boolean {
  const packageName = name.split("/", 2).join("/");
  const file = resolved(name, root);
  return file !== null && versionAt(file, packageName) !== OWN_VERSIONS[packageName];
}

/** @returns the file that an import in this folder loads; null: the package is not installed */
function resolved(name: string, root: string): string | null {
  try {
    return Bun.resolveSync(name, root);
  } catch {
    return null;
  }
}

/** @returns the version of the package to which a file belongs; null: it can't be determined */
function versionAt(file: string, packageName: string): string | null {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const { name, version } = readPackage(join(folder, "package.json"));
    if (name === packageName) return version ?? null;
  }
  return null;
}

interface PackageFile {
  readonly name?: string;
  readonly version?: string;
}

/** @returns an empty object if there is none, or it is not readable */
function readPackage(file: string): PackageFile {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as PackageFile;
  } catch {
    return {};
  }
}
