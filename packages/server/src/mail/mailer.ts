/** A message to one person. */
export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /**
   * The same for each attempt to send the same mail, of letters and digits: if the provider or the
   * mailbox checks it, a mail whose outcome is unknown arrives only once.
   */
  readonly key?: string | undefined;
}

/** Sends mails. */
export interface Mailer {
  /** Whether mail can be sent at all. */
  readonly canSend: boolean;
  /** @throws PylonError EMAIL_NOT_CONFIGURED, EMAIL_NOT_SENT */
  send(mail: Mail): Promise<void>;
}
