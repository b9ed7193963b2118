// Installs what the scripts need: the npm packages, and for the tests a browser.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const bun = fileURLToPath(new URL("../node_modules/.bin/bun", import.meta.url));

/** Without windows: a page uses a fifth of the processor time of a full Chromium. */
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
 * Returns the path of a Chromium; installs it from Debian's packages if there is none and this user
 * may. A container, where this user is root, gets the headless one even if there is another; a
 * developer's machine is not changed. Null: none is available.
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
    if (installFromDebian(name, isRoot)) break;
  }
  return [HEADLESS_SHELL, ...BROWSERS].find((path) => existsSync(path)) ?? null;
}

/** @returns whether it exists now; outdated package lists are updated first */
function installFromDebian(name, isRoot) {
  const [command, ...options] = [
    ...(isRoot ? [] : ["sudo", "-n"]),
    "apt-get",
    ...["Acquire::Retries=0", "Acquire::http::Timeout=10", "DPkg::Lock::Timeout=120"].flatMap(
      (option) => ["-o", option],
    ),
  ];
  const apt = (...args) =>
    spawnSync(command, [...options, ...args], {
      stdio: "ignore",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    }).status === 0;
  const install = () => apt("install", "-y", "--no-install-recommends", name);
  return install() || (apt("update") && install());
}

export function run(command, args, options = {}) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
  if (status !== 0) process.exit(status ?? 1);
}
