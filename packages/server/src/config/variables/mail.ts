import { httpUrl, oneOf, sender, smtpUrl, text } from "./parsers.ts";
import { variable } from "./variable.ts";

/** Variables of mail. */
export const MAIL_VARIABLES = {
  PYLON_EMAIL_PROVIDER: variable<"smtp" | "resend" | "sendgrid" | "ses" | "webhook" | undefined>({
    wants: "smtp, resend, sendgrid, ses or webhook",
    doc:
      "The mail provider, see [mail](mail.md). Default `smtp` if PYLON_SMTP_URL is set. Without " +
      "a provider, dev mode shows mails at `/studio/mail`.",
    fallback: undefined,
    parse: oneOf("smtp", "resend", "sendgrid", "ses", "webhook"),
  }),
  PYLON_EMAIL_FROM: variable<string | undefined>({
    wants: "an address such as Shop <no-reply@example.com>",
    doc: "The sender of mails.",
    fallback: undefined,
    parse: sender,
  }),
  PYLON_EMAIL_API_KEY: variable<string | undefined>({
    wants: "the provider's key",
    doc: "The API key for `resend` and `sendgrid`; for `webhook` it is sent as a bearer token.",
    fallback: undefined,
    secret: true,
    parse: text,
  }),
  PYLON_EMAIL_HTTP_URL: variable<string | undefined>({
    wants: "a URL",
    doc:
      "The URL that `webhook` posts `{from, to, subject, text, html}` to; for the other " +
      "providers, an endpoint that replaces their default.",
    fallback: undefined,
    parse: httpUrl,
  }),
  PYLON_SMTP_URL: variable<string | undefined>({
    wants: "smtp://user:password@host:587 or smtps://",
    doc: "The SMTP server. With `?requireTLS=true` nothing is sent without TLS.",
    fallback: undefined,
    secret: true,
    parse: smtpUrl,
  }),
} as const;
