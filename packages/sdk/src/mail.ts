/** The kinds of email that the server sends. */
export type MailKind =
  | "sign-in-code"
  | "magic-link"
  | "verify-email"
  | "reset-password"
  | "change-email"
  | "email-taken"
  | "invitation"
  | "security-notice";

/** The values of an email; which of them are set depends on its kind. */
export interface MailData {
  readonly appName: string;
  /** A six-digit code. */
  readonly code?: string;
  /** The URL to open. */
  readonly link?: string;
  readonly organization?: string;
  readonly inviter?: string;
  /** One sentence that describes what happened. */
  readonly notice?: string;
  /** The number of minutes that the code and the link are valid. */
  readonly minutes?: number;
}

/** Renders an email. Escape the values that go into `html`. */
export type MailTemplate = (data: MailData) => {
  readonly subject: string;
  readonly text: string;
  readonly html?: string;
};
/** Custom email templates, by kind. Kinds that are omitted use the built-in text. */
export type MailTemplates = Readonly<Partial<Record<MailKind, MailTemplate>>>;
