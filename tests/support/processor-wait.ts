import { readFileSync } from "node:fs";

/**
 * The time for which a process has been ready to run but waited for a processor, in milliseconds
 * since its start: what other programs of a busy machine have cost it. Only its first thread is
 * counted, which runs JavaScript. 0 where the system does not count it.
 */
export function processorWaitMs(pid: number = process.pid): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[1] ?? 0) / 1e6;
  } catch {
    // It has ended, or this is not Linux.
    return 0;
  }
}
