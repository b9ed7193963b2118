/** One message to one person. */
export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** The way to people's mailboxes. */
export interface Mailer {
  /** Whether mail can be sent at all. */
  readonly canSend: boolean;
  /** @throws PylonError EMAIL_NOT_CONFIGURED, EMAIL_NOT_SENT */
  send(mail: Mail): Promise<void>;
}
