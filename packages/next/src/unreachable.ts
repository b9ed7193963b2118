/**
 * The Pylon server did not answer. Whether somebody is signed in is not known then: show that, and
 * not the sign-in page.
 */
export class PylonUnreachableError extends Error {
  override readonly name = "PylonUnreachableError";

  constructor(cause: unknown) {
    super("The Pylon server did not answer.", { cause });
  }
}
