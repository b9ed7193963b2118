import type { Output } from "../output.ts";

/** A finding of `pylon doctor`, with what to do about it. It never contains a secret's value. */
export interface Check {
  readonly name: string;
  readonly status: "pass" | "warning" | "error";
  readonly message: string;
}

/** A check without a problem. */
export function pass(name: string, message: string): Check {
  return { name, status: "pass", message };
}

/** A check with a warning. */
export function warning(name: string, message: string): Check {
  return { name, status: "warning", message };
}

/** A check that failed. */
export function error(name: string, message: string): Check {
  return { name, status: "error", message };
}

/** A check that depends on an app that does not load. */
export function notChecked(name: string): Check {
  return warning(name, "Not checked, because the app has errors: fix those first.");
}

/** The numbers of checks that passed, warned and failed. */
export function summaryOf(checks: readonly Check[]): {
  readonly passed: number;
  readonly warnings: number;
  readonly errors: number;
} {
  const count = (status: Check["status"]): number =>
    checks.filter((check) => check.status === status).length;
  return { passed: count("pass"), warnings: count("warning"), errors: count("error") };
}

/** Prints the checks and their summary. */
export function printChecks(checks: readonly Check[], output: Output): void {
  for (const { name, status, message } of checks)
    output.say(`${status.padEnd(8)}${name}: ${message}`);
}
