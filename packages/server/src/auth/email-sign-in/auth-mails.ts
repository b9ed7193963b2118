import { PylonError } from "@pylonsync/protocol";
import type { MailData, MailKind, MailTemplates } from "@pylonsync/sdk";
import type { Mailer } from "../../mail/mailer.ts";
import { renderMail } from "../../mail/templates.ts";
import type { Platform } from "../../platform.ts";

/** What the mails of accounts are made of. */
export interface AuthMailsOptions {
  readonly platform: Pick<Platform, "soon">;
  readonly mailer: Mailer;
  readonly appName: () => string;
  /** The app's own texts. */
  readonly templates: () => MailTemplates;
  /** Told what went wrong with a mail that nobody waits for. */
  readonly onError: (error: unknown) => void;
}

/** The mails that belong to accounts. */
export class AuthMails {
  readonly #options: AuthMailsOptions;

  constructor(options: AuthMailsOptions) {
    this.#options = options;
  }

  /** Whether the server can send mail. */
  get canSend(): boolean {
    return this.#options.mailer.canSend;
  }

  /**
   * @throws PylonError EMAIL_NOT_CONFIGURED: asked before anything depends on whether an account
   *   exists
   */
  require(): void {
    if (this.canSend) return;
    throw new PylonError("EMAIL_NOT_CONFIGURED", "This server sends no mail.", {
      hint: "Set PYLON_EMAIL_PROVIDER.",
    });
  }

  /** @throws PylonError EMAIL_NOT_CONFIGURED, EMAIL_NOT_SENT */
  async send(kind: MailKind, to: string, data: Omit<MailData, "appName">): Promise<void> {
    const { mailer, appName, templates } = this.#options;
    await mailer.send({ to, ...renderMail(kind, { ...data, appName: appName() }, templates()) });
  }

  /**
   * Sends without making anybody wait: how long an answer takes must not tell whether a mail was
   * sent.
   */
  sendSoon(kind: MailKind, to: string, data: Omit<MailData, "appName">): void {
    if (!this.canSend) return;
    // After the answer: to write a mail takes a moment too.
    this.#options.platform.soon(() => void this.send(kind, to, data).catch(this.#options.onError));
  }
}

/** A name that somebody chose, as it may stand in a mail: nothing in it can be followed. */
export function asWords(name: string): string {
  return name
    .replaceAll(/[^\p{L}\p{N} _-]/gu, " ")
    .slice(0, 60)
    .trim();
}
