/** The mails that the server sends by itself. */
export type MailKind =
  | "sign-in-code"
  | "magic-link"
  | "verify-email"
  | "reset-password"
  | "change-email"
  | "email-taken"
  | "invitation"
  | "security-notice";

/** The values of a mail; which ones are set depends on its kind. */
export interface MailData {
  readonly appName: string;
  /** Six digits to copy. */
  readonly code?: string;
  /** A URL to follow. */
  readonly link?: string;
  readonly organization?: string;
  readonly inviter?: string;
  /** What happened, one sentence. */
  readonly notice?: string;
  /** For how long code and link can be used. */
  readonly minutes?: number;
}

/** Renders a mail in the app's own words. Escape the values that go into `html`. */
export type MailTemplate = (data: MailData) => {
  readonly subject: string;
  readonly text: string;
  readonly html?: string;
};
/** An app's own mails, by kind. A kind that is left out keeps the built-in text. */
export type MailTemplates = Readonly<Partial<Record<MailKind, MailTemplate>>>;
