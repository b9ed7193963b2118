/** A finding in an app: an error prevents the app from being served, a warning does not. */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  /** UPPER_SNAKE. */
  readonly code: string;
  readonly message: string;
  /** The location: `entities[0].fields[2].type`, or a file. */
  readonly path?: string | undefined;
  /** The offset in a policy's text. */
  readonly position?: number | undefined;
  /** How to fix it. */
  readonly hint?: string | undefined;
}

/** Creates an error at a location of the manifest. */
export function errorAt(code: string, message: string, path?: string, hint?: string): Diagnostic {
  return { severity: "error", code, message, path, hint };
}
