// Installs what the scripts need: the npm packages, and a browser for the tests.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { installFromDebian } from "./debian.mjs";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const bun = fileURLToPath(new URL("../node_modules/.bin/bun", import.meta.url));

/** Renders without a window system: a page takes a fifth of the CPU time of a full Chromium. */
const HEADLESS_SHELL = "/usr/lib/chromium/chromium-headless-shell";
const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Installs the npm packages if they are missing or older than the lock file. */
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
 * Returns the path of a Chromium. If there is none, it is installed from Debian's packages where
 * this user may. As root, as in a container, the headless shell is installed even beside a full
 * Chromium; a developer's machine is not changed.
 *
 * @returns null if no browser can be installed
 */
export function findBrowser() {
  const found = [process.env.CHROMIUM_PATH, HEADLESS_SHELL].find(
    (path) => path && existsSync(path),
  );
  if (found !== undefined) return found;
  const whole = BROWSERS.find((path) => existsSync(path)) ?? null;
  const isRoot = process.getuid?.() === 0;
  if (!existsSync("/usr/bin/apt-get") || (whole !== null && !isRoot)) return whole;
  for (const name of ["chromium-headless-shell", ...(whole === null ? ["chromium"] : [])]) {
    console.error(`Installing ${name}...`);
    if (installFromDebian(name) === null) break;
  }
  return [HEADLESS_SHELL, ...BROWSERS].find((path) => existsSync(path)) ?? null;
}

/** Programs that tests start, and their Debian packages. */
const TEST_PROGRAMS = {
  "redis-server": "redis-server",
  haproxy: "haproxy",
  nginx: "nginx",
  pgbouncer: "pgbouncer",
  openssl: "openssl",
  buildah: "buildah",
  debootstrap: "debootstrap",
  runc: "runc",
  "systemd-analyze": "systemd",
};

/**
 * Installs the missing programs of the tests together, so that no test has to wait for apt-get. A
 * program that can't be installed fails the tests that need it.
 */
export function installTestPrograms() {
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || !existsSync("/usr/bin/apt-get")) return;
  const folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  const missing = Object.entries(TEST_PROGRAMS)
    .filter(([program]) => !folders.some((folder) => existsSync(`${folder}/${program}`)))
    .map(([, name]) => name);
  if (missing.length === 0) return;
  console.error(`Installing ${missing.join(", ")}...`);
  installFromDebian(...missing);
}

export function run(command, args, options = {}) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
  if (status !== 0) process.exit(status ?? 1);
}
