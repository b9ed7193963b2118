/** Something found in an app: an error keeps it from being served, a warning does not. */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  /** UPPER_SNAKE. */
  readonly code: string;
  readonly message: string;
  /** Where: `entities[0].fields[2].type`, or a file. */
  readonly path?: string | undefined;
  /** Offset in a policy's text. */
  readonly position?: number | undefined;
  /** What to do. */
  readonly hint?: string | undefined;
}

/** An error at a place of the manifest. */
export function errorAt(code: string, message: string, path?: string, hint?: string): Diagnostic {
  return { severity: "error", code, message, path, hint };
}
