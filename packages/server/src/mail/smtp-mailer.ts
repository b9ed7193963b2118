import type { Transporter } from "nodemailer";
import { MailFailure } from "./mail-error.ts";
import type { Mail, Mailer } from "./mailer.ts";

const TIMEOUT_MS = 10_000;

/** Sends through an SMTP server. The library is loaded with the first mail. */
export class SmtpMailer implements Mailer {
  readonly canSend = true;
  readonly #url: string;
  readonly #from: string;
  #transport: Promise<Transporter> | undefined;

  /**
   * @param url `smtp://user:password@host:587` (TLS when the server offers it) or `smtps://` (TLS
   *   from the start)
   */
  constructor(url: string, from: string) {
    this.#url = url;
    this.#from = from;
  }

  async send({ key, ...mail }: Mail): Promise<void> {
    const transport = await (this.#transport ??= this.#open());
    const from = this.#from;
    try {
      await transport.sendMail({
        from,
        ...mail,
        ...(key === undefined ? {} : { messageId: `<${key}@${domainOf(from)}>` }),
      });
    } catch (error) {
      if (!(error instanceof Error)) throw new MailFailure("unknown");
      const code = "code" in error ? String(error.code) : error.name;
      throw new MailFailure(`${code}: ${withoutCredentials(error.message, this.#url)}`);
    }
  }

  async #open(): Promise<Transporter> {
    const { createTransport } = await import("nodemailer");
    const { protocol, hostname, port, username, password, searchParams } = new URL(this.#url);
    const isTls = protocol === "smtps:";
    return createTransport({
      host: hostname,
      port: Number(port) || (isTls ? 465 : 587),
      secure: isTls,
      requireTLS: searchParams.get("requireTLS") === "true",
      ...(username === ""
        ? {}
        : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
      // The content of a mail is never read from a file or a URL.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }
}

/** @param from `Shop <no-reply@example.com>`, or the address alone */
function domainOf(from: string): string {
  return /@([^@>\s]+)>?\s*$/.exec(from)?.[1] ?? "localhost";
}

function withoutCredentials(text: string, url: string): string {
  const { password } = new URL(url);
  return password === ""
    ? text
    : text.replaceAll(decodeURIComponent(password), "***").replaceAll(password, "***");
}
