/** One message to one person. */
export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /**
   * The same for each attempt at the same mail, of letters and digits: where the provider or the
   * mailbox looks at it, a mail whose end was not heard of arrives once.
   */
  readonly key?: string | undefined;
}

/** The way to people's mailboxes. */
export interface Mailer {
  /** Whether mail can be sent at all. */
  readonly canSend: boolean;
  /** @throws PylonError EMAIL_NOT_CONFIGURED, EMAIL_NOT_SENT */
  send(mail: Mail): Promise<void>;
}
