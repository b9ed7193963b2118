import { readFileSync } from "node:fs";

/** The number of clock ticks per second in which /proc counts CPU time. */
const TICKS = 100;

/** User and system time of a process, in milliseconds. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
}
