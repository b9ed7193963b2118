import { format } from "node:util";
import { currentOperation } from "../observe/operation.ts";

const LEVELS = ["debug", "log", "info", "warn", "error"] as const;

let isCaptured = false;

/**
 * From now on what is printed by `console` while a function runs is also told to its operation. It
 * is printed as before.
 */
export function captureConsole(): void {
  if (isCaptured) return;
  isCaptured = true;
  for (const level of LEVELS) {
    const print = console[level].bind(console);
    console[level] = (...values: unknown[]) => {
      currentOperation()?.console?.printed(level, format(...values));
      print(...values);
    };
  }
}
