import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CommandError } from "../output.ts";
import type { DeployFile } from "./deploy-file.ts";

interface PackageJson {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/**
 * The app's package.json with the packages that a deployment needs; existing entries are unchanged.
 *
 * @param wanted exact versions by name
 * @returns null if nothing is missing
 * @throws CommandError DEPLOY_WRITE_FAILED if the file is not valid JSON
 */
export function withDevDependencies(
  dir: string,
  name: string,
  wanted: Readonly<Record<string, string>>,
): DeployFile | null {
  if (Object.keys(wanted).length === 0) return null;
  const path = "package.json";
  const file = join(dir, path);
  if (!existsSync(file))
    return {
      path,
      content: print({ name, private: true, type: "module", devDependencies: wanted }, "  "),
    };
  const text = readFileSync(file, "utf8");
  const found = parse(text, file);
  const missing = Object.entries(wanted).filter(
    ([dependency]) =>
      found.dependencies?.[dependency] === undefined &&
      found.devDependencies?.[dependency] === undefined,
  );
  if (missing.length === 0) return null;
  const devDependencies = Object.fromEntries(
    [...Object.entries(found.devDependencies ?? {}), ...missing].toSorted(([a], [b]) =>
      a < b ? -1 : 1,
    ),
  );
  return {
    path,
    content: print({ ...found, devDependencies }, /^[{]\s*\n([ \t]+)/.exec(text)?.[1] ?? "  "),
    replaces: true,
  };
}

function parse(text: string, file: string): PackageJson {
  try {
    const found: unknown = JSON.parse(text);
    if (typeof found === "object" && found !== null && !Array.isArray(found)) return found;
  } catch {
    // The error is thrown below.
  }
  throw new CommandError(
    "DEPLOY_WRITE_FAILED",
    `${file} is not a JSON object, so nothing was written: fix it first.`,
  );
}

function print(value: unknown, indent: string): string {
  return `${JSON.stringify(value, null, indent)}\n`;
}
