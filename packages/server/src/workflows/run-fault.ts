/** Ends a run immediately: its code is not the code that started it, or it is too large. */
export class RunFault extends Error {
  override readonly name = "RunFault";
}

/** Returns the fault of a run whose code has changed. @param what the difference */
export function changedCode(what: string): RunFault {
  return new RunFault(
    `The workflow's code has changed since the run started: ${what}. Raise its version, and keep ` +
      "the old code for older runs.",
  );
}

/** Returns the fault of a run whose code awaits something that is not recorded. */
export function stuckCode(): RunFault {
  return new RunFault(
    "The workflow awaits something that is not a step. Move asynchronous work into step().",
  );
}
