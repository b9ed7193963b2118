import type { CheckResult } from "./run-checks.ts";

/** The lines of the table for one result. The expected and actual values follow a failure. */
export function linesOf({ family, name, outcome, expected, got }: CheckResult): string[] {
  const line = `${outcome}  ${family.padEnd(9)}  ${name}`;
  if (outcome === "pass") return [line];
  if (outcome === "skip") return [`${line} (${expected})`];
  return [line, `      expected  ${expected}`, `      got       ${got}`];
}

/** The summary, as the last line. */
export function summaryOf(results: readonly CheckResult[]): string {
  const count = (outcome: CheckResult["outcome"]): number =>
    results.filter((result) => result.outcome === outcome).length;
  return `${count("pass")} passed, ${count("FAIL")} failed, ${count("skip")} skipped`;
}
