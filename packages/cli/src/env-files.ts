import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseEnv } from "node:util";

const FILES = [".env.local", ".env"];

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment with the nearest `.env.local` and `.env`: the process's own values win, then
 * `.env.local`'s.
 *
 * @param dir searched upwards for the first folder that has one of them
 * @returns also the paths that were read
 */
export function withEnvFiles(
  dir: string,
  env: Environment,
): { readonly env: Environment; readonly files: readonly string[] } {
  const files = nearestFiles(resolve(dir));
  const parsed = files.map((file) => parseEnv(readFileSync(file, "utf8")) as Environment);
  return { env: Object.assign({}, ...parsed.toReversed(), env) as Environment, files };
}

function nearestFiles(dir: string): string[] {
  const here = FILES.map((name) => join(dir, name)).filter((file) => existsSync(file));
  const parent = dirname(dir);
  return here.length > 0 || parent === dir ? here : nearestFiles(parent);
}
