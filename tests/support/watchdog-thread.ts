import { readdirSync, readFileSync } from "node:fs";
import { until } from "./client.ts";

/**
 * Waits until the watchdog of a server runs, a second or more after its start: its thread is the
 * only worker of the process. Linux only.
 */
export function watchdogRuns(pid: number): Promise<void> {
  const tasks = `/proc/${pid}/task`;
  return until(() =>
    readdirSync(tasks).some((task) => nameOf(`${tasks}/${task}/comm`) === "Worker"),
  );
}

/** Empty for a thread that has ended in the meantime. */
function nameOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}
