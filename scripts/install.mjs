// What the scripts need before they can do anything: the npm packages, and for the tests a browser.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const bun = fileURLToPath(new URL("../node_modules/.bin/bun", import.meta.url));

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Installs the npm packages when they are missing or older than the lock file. */
export function installPackages() {
  const done = `${root}node_modules/.package-lock.json`;
  const isCurrent =
    existsSync(done) &&
    existsSync(bun) &&
    statSync(done).mtimeMs >= statSync(`${root}package-lock.json`).mtimeMs;
  if (isCurrent) return;
  console.error("Installing npm packages...");
  run("npm", ["ci", "--no-fund", "--no-audit", "--loglevel=error"]);
}

/**
 * The path of a Chromium; installed from Debian's packages when there is none and this user may.
 * Null: none is to be had.
 */
export function findBrowser() {
  const known = [process.env.CHROMIUM_PATH, ...BROWSERS].find((path) => path && existsSync(path));
  if (known !== undefined) return known;
  const isRoot = process.getuid?.() === 0;
  const sudo = isRoot ? [] : ["sudo", "-n"];
  if (!existsSync("/usr/bin/apt-get")) return null;
  console.error("Installing Chromium...");
  const apt = (...args) =>
    spawnSync([...sudo, "apt-get"][0], [...[...sudo, "apt-get"].slice(1), ...args], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  apt("update");
  apt("install", "-y", "--no-install-recommends", "chromium");
  return BROWSERS.find((path) => existsSync(path)) ?? null;
}

export function run(command, args, options = {}) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
  if (status !== 0) process.exit(status ?? 1);
}
