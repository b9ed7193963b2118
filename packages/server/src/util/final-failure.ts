/** A server task throws it when no other attempt can succeed: its job then fails immediately. */
export class FinalFailure extends Error {
  override readonly name = "FinalFailure";
}
