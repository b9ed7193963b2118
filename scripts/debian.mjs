// Installs Debian packages, for the scripts and the tests.
import { spawnSync } from "node:child_process";

const OPTIONS = [
  "Acquire::Retries=2",
  "Acquire::http::Timeout=10",
  // Another apt-get may be running, such as that of a second clone.
  "DPkg::Lock::Timeout=300",
].flatMap((option) => ["-o", option]);

/**
 * Installs packages. If that fails, it updates the package lists, which may be outdated, and tries
 * again.
 *
 * @returns null, or the output of apt-get if it failed
 */
export function installFromDebian(...names) {
  const isRoot = process.getuid?.() === 0;
  const [command, ...options] = [...(isRoot ? [] : ["sudo", "-n"]), "apt-get", ...OPTIONS];
  const apt = (...args) => {
    const { status, error, stdout, stderr } = spawnSync(command, [...options, ...args], {
      encoding: "utf8",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    return status === 0 ? null : `${error?.message ?? ""}${stdout ?? ""}${stderr ?? ""}`;
  };
  const install = () => apt("install", "-y", "--no-install-recommends", ...names);
  return install() === null ? null : (apt("update") ?? install());
}
