/**
 * The Pylon server did not respond, so it is unknown whether the caller is signed in. Show an error
 * instead of the sign-in page.
 *
 * @example
 * try {
 *   await getSession();
 * } catch (error) {
 *   if (!(error instanceof PylonUnreachableError)) throw error;
 * }
 */
export class PylonUnreachableError extends Error {
  override readonly name = "PylonUnreachableError";

  constructor(cause: unknown) {
    super("The Pylon server did not respond.", { cause });
  }
}
