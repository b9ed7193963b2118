import { spawnSync } from "node:child_process";

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** The processes that read a database for a server, given the server's process. */
export function readersOf(server: number): number[] {
  return running()
    .filter(
      ({ parent, command }) => parent === server && /reader-main\.[jt]s|serve-reads/.test(command),
    )
    .map(({ pid }) => pid);
}

/** The processes that run functions for a server, given the server's process. */
export function isolatesOf(server: number): number[] {
  return running()
    .filter(
      ({ parent, command }) =>
        parent === server && /isolate-main\.[jt]s|serve-functions/.test(command),
    )
    .map(({ pid }) => pid);
}

/** The processes that merge documents for a server, given the server's process. */
export function mergersOf(server: number): number[] {
  return running()
    .filter(
      ({ parent, command }) => parent === server && /merge-main\.[jt]s|serve-merges/.test(command),
    )
    .map(({ pid }) => pid);
}

export function isRunning(pid: number): boolean {
  return running().some((process) => process.pid === pid);
}

/** All processes except zombies. */
function running(): Process[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid=,stat=,args="], { encoding: "utf8" });
  return stdout.split("\n").flatMap((line) => {
    const [, pid, parent, state = "Z", command = ""] =
      /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    return state.startsWith("Z") ? [] : [{ pid: Number(pid), parent: Number(parent), command }];
  });
}
