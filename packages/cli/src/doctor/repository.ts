import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { error, pass, warning, type Check } from "./check.ts";

const NPM_LOCK_FILE = "package-lock.json";
const LOCK_FILES = [
  NPM_LOCK_FILE,
  "npm-shrinkwrap.json",
  "bun.lock",
  "pnpm-lock.yaml",
  "yarn.lock",
];
const EXACT = /^(\d+\.\d+\.\d+([-+][\w.+-]+)?|file:.*|link:.*|workspace:.*)$/;

/** Checks that the build uses the tested versions, and that no secrets are built in. */
export function checkRepository(dir: string): Check[] {
  return [checkLock(dir), checkVersions(dir), checkGit(dir), checkImage(dir)];
}

function checkLock(dir: string): Check {
  if (!existsSync(join(dir, "package.json")))
    return warning(
      "lock file",
      "There is no package.json, which a build needs: `pylon init` creates one.",
    );
  const found = LOCK_FILES.find((name) => isHereOrAbove(dir, name));
  if (found === undefined)
    return error(
      "lock file",
      "There is no lock file, so each build may use different versions: run `npm install` and " +
        "commit package-lock.json.",
    );
  if (imageCopies(dir, NPM_LOCK_FILE) && !existsSync(join(dir, NPM_LOCK_FILE))) {
    return error(
      "lock file",
      `The Dockerfile copies ${NPM_LOCK_FILE} of this folder, and there is only ` +
        `${existsSync(join(dir, found)) ? found : `a ${found} above`}: run \`npm install ` +
        "--workspaces=false` here and commit the lock file, or change the Dockerfile.",
    );
  }
  return pass("lock file", found);
}

function imageCopies(dir: string, file: string): boolean {
  const path = join(dir, "Dockerfile");
  return (
    existsSync(path) &&
    new RegExp(`^COPY .*\\b${RegExp.escape(file)}`, "m").test(readFileSync(path, "utf8"))
  );
}

function isHereOrAbove(dir: string, name: string): boolean {
  const parent = dirname(dir);
  return (
    existsSync(join(dir, name)) ||
    (parent !== dir && !existsSync(join(dir, ".git")) && isHereOrAbove(parent, name))
  );
}

function checkVersions(dir: string): Check {
  const file = join(dir, "package.json");
  if (!existsSync(file)) return pass("versions", "no packages");
  const found = packageJson(file);
  if (found === null) return error("versions", "package.json is not a JSON object: fix it.");
  const { dependencies = {}, devDependencies = {} } = found;
  const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
    ([name, version]) => (name.startsWith("@pylonsync/") || name === "sst") && !EXACT.test(version),
  );
  if (loose.length === 0) return pass("versions", "Pylon's packages are pinned");
  return warning(
    "versions",
    `${loose.map(([name, version]) => `${name}@${version}`).join(", ")} may change between ` +
      `builds: use ` +
      "an exact version, such as 1.2.3.",
  );
}

type PackageJson = Readonly<Record<string, Readonly<Record<string, string>> | undefined>>;

/** Null if it is not a package.json that npm could have written. */
function packageJson(file: string): PackageJson | null {
  try {
    const found: PackageJson | null = JSON.parse(readFileSync(file, "utf8"));
    return typeof found === "object" && !Array.isArray(found) ? found : null;
  } catch {
    return null;
  }
}

function checkGit(dir: string): Check {
  const { status, stdout } = spawnSync("git", ["ls-files", "--", ".env", ".env.*"], {
    cwd: dir,
    encoding: "utf8",
  });
  if (status !== 0) return pass(".env in git", "the folder is not in a repository");
  const tracked = stdout
    .split("\n")
    .filter((file) => file !== "" && !/\.(example|sample|template)$/.test(file));
  if (tracked.length === 0) return pass(".env in git", "none");
  return error(
    ".env in git",
    `git tracks ${tracked.join(", ")}: remove it with \`git rm --cached\`, add it to ` +
      ".gitignore, and replace the secrets, because the old ones are in the history.",
  );
}

function checkImage(dir: string): Check {
  if (!existsSync(join(dir, "Dockerfile"))) return pass(".env in the image", "no image is built");
  const secret = readdirSync(dir).filter(
    (name) => /^\.env(\..+)?$/.test(name) && !/\.(example|sample|template)$/.test(name),
  );
  const file = join(dir, ".dockerignore");
  const patterns = existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "" && !line.startsWith("#"))
    : [];
  const inside = [...new Set([".env", ...secret])].filter((name) => !isIgnored(name, patterns));
  return inside.length === 0
    ? pass(".env in the image", "excluded by .dockerignore")
    : error(
        ".env in the image",
        `.dockerignore does not exclude ${inside.join(", ")} from the image: add .env* to it.`,
      );
}

/** As Docker applies them: the last matching pattern decides, and `!` negates. */
function isIgnored(name: string, patterns: readonly string[]): boolean {
  return patterns.reduce((ignored, pattern) => {
    const negated = pattern.startsWith("!");
    const glob = pattern.replace(/^!/, "").replace(/^\//, "").replace(/\/$/, "");
    return new Bun.Glob(glob).match(name) ? !negated : ignored;
  }, false);
}
