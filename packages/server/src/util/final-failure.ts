/** What a task of the server throws when no other attempt can succeed: its job is dead at once. */
export class FinalFailure extends Error {
  override readonly name = "FinalFailure";
}
