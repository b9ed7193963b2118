/** The mails that Pylon sends by itself. */
export type MailKind =
  | "sign-in-code"
  | "magic-link"
  | "verify-email"
  | "reset-password"
  | "change-email"
  | "email-taken"
  | "invitation"
  | "security-notice";

/** What a mail is made of; which values are there depends on its kind. */
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

/** A mail in the app's own words. Values in `html` must be escaped by whoever writes it. */
export type MailTemplate = (data: MailData) => {
  readonly subject: string;
  readonly text: string;
  readonly html?: string;
};
export type MailTemplates = Readonly<Partial<Record<MailKind, MailTemplate>>>;
