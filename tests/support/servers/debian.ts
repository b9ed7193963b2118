import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeOnce } from "../once.ts";

const isRoot = process.getuid?.() === 0;

/**
 * Returns the path of a program, which is installed from Debian's packages if it is missing and
 * this user may.
 *
 * @throws Error that says what to install
 */
export function debianProgram(program: string, packageName: string): string {
  const find = (): string | null =>
    Bun.which(program, { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` });
  const found = find();
  if (found !== null) return found;
  if (Bun.which("apt-get") !== null) {
    const apt = (...args: string[]): void => {
      const [command = "", ...rest] = [...(isRoot ? [] : ["sudo", "-n"]), "apt-get", ...args];
      spawnSync(command, rest, {
        stdio: "ignore",
        env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      });
    };
    // apt-get fails while another one runs.
    makeOnce(
      join(tmpdir(), "pylon-apt-get.lock"),
      () => find() !== null,
      () => {
        apt("update");
        apt("install", "-y", "--no-install-recommends", packageName);
      },
    );
    // The package starts its own service; the tests' servers use other ports.
    const installed = find();
    if (installed !== null) return installed;
  }
  throw new Error(`There is no ${program}: install the package ${packageName}.`);
}

/** Returns the command as a user who is not root, for servers that refuse to run as root. */
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

/** The user of servers when the tests run as root (otherwise the current user). */
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
