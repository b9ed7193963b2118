import type { Diagnostic } from "@pylonsync/server";
import type { Output } from "./output.ts";

/** Prints `error POLICY_INVALID policies[0].allowRead: ...`, with the hint below. */
export function sayDiagnostics(diagnostics: readonly Diagnostic[], output: Output): void {
  for (const { severity, code, message, path, hint } of diagnostics) {
    output.warn(`${severity} ${code}${path === undefined ? "" : ` ${path}`}: ${message}`);
    if (hint !== undefined) output.warn(`      ${hint}`);
  }
}

/** Whether one of the diagnostics is an error. */
export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ severity }) => severity === "error");
}
