import { format } from "node:util";
import { currentOperation } from "../observe/operation.ts";

const LEVELS = ["debug", "log", "info", "warn", "error"] as const;

let isCaptured = false;

/** Also passes the output of `console` to the running function's operation. It is still printed. */
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
