/** Why the server can't start: one sentence that says what is wrong and what to do. */
export class PylonStartError extends Error {
  override readonly name = "PylonStartError";
}
