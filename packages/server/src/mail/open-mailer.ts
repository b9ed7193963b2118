import { PylonError } from "@pylonsync/protocol";
import type { EmailConfig } from "../config/config.ts";
import type { Log } from "../observe/log.ts";
import { inSpan } from "../observe/operation.ts";
import type { Platform } from "../platform.ts";
import { DevMailbox } from "./dev-mailbox.ts";
import { HttpMailer, resendApi, sendgridApi, webhookApi } from "./http-mailer.ts";
import { MailFailure } from "./mail-error.ts";
import type { Mail, Mailer } from "./mailer.ts";
import { NO_MAILER } from "./no-mailer.ts";
import { SesMailer } from "./ses-mailer.ts";
import { SmtpMailer } from "./smtp-mailer.ts";

/** Returns the configured mailer; without one, a mailbox in dev mode, and otherwise no mailer. */
export function openMailer(
  config: EmailConfig | null,
  options: {
    readonly dev: boolean;
    readonly platform: Platform;
    readonly log: Log;
    readonly counts?: MailCounts;
  },
): Mailer {
  const { dev, platform, log, counts = { sent: 0, failed: 0 } } = options;
  if (config !== null) return new CheckedMailer(mailerOf(config, platform), log, counts);
  if (!dev) return NO_MAILER;
  return new DevMailbox(platform.now, () =>
    log.info("a mail was written", { see: "/studio/mail" }),
  );
}

/** The number of mails since the start. */
export interface MailCounts {
  sent: number;
  failed: number;
}

function mailerOf(config: EmailConfig, platform: Platform): Mailer {
  switch (config.provider) {
    case "smtp":
      return new SmtpMailer(config.smtpUrl, config.from);
    case "ses":
      return new SesMailer(config.from, config.region, config.url);
    case "resend":
      return new HttpMailer(resendApi(config.apiKey, config.url), config.from, platform);
    case "sendgrid":
      return new HttpMailer(sendgridApi(config.apiKey, config.url), config.from, platform);
    case "webhook":
      return new HttpMailer(webhookApi(config.url, config.apiKey), config.from, platform);
  }
}

/** Rejects text that could become another header, and logs failures without the recipient. */
class CheckedMailer implements Mailer {
  readonly #mailer: Mailer;
  readonly #log: Log;
  readonly #counts: MailCounts;

  constructor(mailer: Mailer, log: Log, counts: MailCounts) {
    this.#mailer = mailer;
    this.#log = log;
    this.#counts = counts;
  }

  get canSend(): boolean {
    return this.#mailer.canSend;
  }

  async send(mail: Mail): Promise<void> {
    if (/[\r\n]/.test(mail.to + mail.subject))
      throw new PylonError(
        "INVALID_DATA",
        "The address and the subject of a mail must be single lines.",
        {
          field: "to",
        },
      );
    try {
      await inSpan("mail", "client", {}, () => this.#mailer.send(mail));
      this.#counts.sent += 1;
    } catch (error) {
      this.#counts.failed += 1;
      this.#log.warn("a mail could not be sent", {
        reason: error instanceof MailFailure ? error.reason : String(error),
        domain: mail.to.split("@").at(-1),
      });
      throw error;
    }
  }
}
