/** Ends a run immediately: its code is not the code that started it, or it is too large. */
export class InvalidRunError extends Error {
  override readonly name = "InvalidRunError";
}

/** Returns the fault of a run whose code has changed. @param what the difference */
export function changedCode(what: string): InvalidRunError {
  return new InvalidRunError(
    `The workflow's code has changed since the run started: ${what}. Raise its version, and keep ` +
      "the old code for older runs.",
  );
}

/** Returns the fault of a run whose code awaits something that is not recorded. */
export function stuckCode(): InvalidRunError {
  return new InvalidRunError(
    "The workflow awaits something that is not a step. Move asynchronous work into step().",
  );
}
