import { PylonError } from "@pylonsync/protocol";

/** The provider did not accept a mail. The reason is only for the log, and not for the caller. */
export class MailFailure extends PylonError {
  readonly reason: string;

  /** @param reason the provider's reason, without the message and without secrets */
  constructor(reason: string) {
    super("EMAIL_NOT_SENT", "The mail could not be sent.", {
      hint: "Try again later; the server's log has the details.",
      extra: { retry_after_secs: 30 },
    });
    this.reason = reason;
  }
}
