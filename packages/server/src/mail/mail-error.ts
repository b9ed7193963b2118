import { PylonError } from "@pylonsync/protocol";

/**
 * A mail that the provider did not take. The reason is for the log; the caller is told no more than
 * that.
 */
export class MailFailure extends PylonError {
  readonly reason: string;

  /** @param reason what the provider said, without the message and without secrets */
  constructor(reason: string) {
    super("EMAIL_NOT_SENT", "The mail could not be sent.", {
      hint: "Try again later; the server's log has the details.",
      extra: { retry_after_secs: 30 },
    });
    this.reason = reason;
  }
}
