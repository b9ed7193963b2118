/** What ends a run at once: its code is not what began it, or it is too large. */
export class RunFault extends Error {
  override readonly name = "RunFault";
}

/** The code of a run is not what began it. @param what is different */
export function changedCode(what: string): RunFault {
  return new RunFault(
    `The workflow's code has changed since the run started: ${what}. Raise its version, and keep ` +
      "the old code for older runs.",
  );
}

/** The code of a run waits for what no record can answer. */
export function stuckCode(): RunFault {
  return new RunFault(
    "The workflow awaits something that is not a step. Move asynchronous work into step().",
  );
}
