import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installFromDebian } from "../../../scripts/debian.mjs";
import { makeOnce } from "../../../scripts/once.mjs";

const isRoot = process.getuid?.() === 0;

/**
 * Returns the path of a program. If it is missing, its Debian package is installed where this user
 * may.
 *
 * @throws Error that names the package to install, with the output of apt-get if it failed
 */
export function debianProgram(program: string, packageName: string): string {
  const find = (): string | null =>
    Bun.which(program, { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` });
  const found = find();
  if (found !== null) return found;
  let problem: string | null = null;
  if (Bun.which("apt-get") !== null) {
    // Only one apt-get can run at a time.
    makeOnce(
      join(tmpdir(), "pylon-apt-get.lock"),
      () => find() !== null,
      () => {
        problem = installFromDebian(packageName);
      },
    );
    // The package starts its own service; the tests' servers use other ports.
    const installed = find();
    if (installed !== null) return installed;
  }
  throw new Error(`${program} is missing: install the package ${packageName}. ${problem ?? ""}`);
}

/** Returns the command as an ordinary user, for servers that refuse to run as root. */
export function asOrdinaryUser(command: readonly string[]): {
  readonly command: string;
  readonly args: string[];
} {
  const [first = "", ...rest] = command;
  if (!isRoot) return { command: first, args: rest };
  const { uid, gid } = ordinaryUser();
  return {
    command: "setpriv",
    args: [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", first, ...rest],
  };
}

/** The user that servers run as if the tests run as root; else the current user. */
export function ordinaryUser(): { readonly uid: number; readonly gid: number } {
  const name =
    ["postgres", "nobody"].find((candidate) => spawnSync("id", [candidate]).status === 0) ??
    "nobody";
  const id = (flag: string): number =>
    Number(spawnSync("id", [flag, name], { encoding: "utf8" }).stdout);
  return isRoot
    ? { uid: id("-u"), gid: id("-g") }
    : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}
