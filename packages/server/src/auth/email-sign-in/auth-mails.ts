import { PylonError } from "@pylonsync/protocol";
import type { MailData, MailKind, MailTemplates } from "@pylonsync/sdk";
import type { Mail, Mailer } from "../../mail/mailer.ts";
import { renderMail } from "../../mail/templates.ts";
import type { Platform } from "../../platform.ts";
import type { Store, Transaction } from "../../store/store.ts";
import { FinalFailure } from "../../util/final-failure.ts";
import { isRecord } from "../../util/is-record.ts";
import type { Encryption } from "../security/encryption.ts";

/** Where the mails of accounts wait until they are sent; jobs/ is behind it. */
export interface MailQueue {
  /** Adds a mail within a transaction: it is sent if that commits. @param mail JSON text */
  add(tx: Transaction, mail: string): Promise<unknown>;
  /** Told after the commit that something was added. */
  wake(): void;
}

/** What the mails of accounts are made of. */
export interface AuthMailsOptions {
  readonly platform: Pick<Platform, "now">;
  readonly store: Store;
  readonly mailer: Pick<Mailer, "canSend">;
  readonly queue: MailQueue;
  readonly encryption: Encryption;
  readonly appName: () => string;
  /** The app's own texts. */
  readonly templates: () => MailTemplates;
  /** Told why a notice could not be put into the queue. */
  readonly onError: (error: unknown) => void;
}

/** A mail as it waits. */
interface WaitingMail extends Mail {
  /** When the code or link in it ends, in milliseconds since 1970; null for never. */
  readonly expiresAt: number | null;
}

const TEXTS = ["to", "subject", "text", "html"] as const;

/**
 * The mails that belong to accounts. Each is a job: it is kept by the transaction that caused it,
 * and a mail provider that fails delays the mail and not the answer. What is in it opens accounts,
 * so it is sealed where the server has a key, and no list of jobs shows it.
 */
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
    throw new PylonError("EMAIL_NOT_CONFIGURED", "Mail is not configured on this server.", {
      hint: "Set PYLON_EMAIL_PROVIDER.",
    });
  }

  /**
   * Puts a mail into the queue within a transaction; `wake` is called after its commit.
   *
   * @param to null: to nobody. It takes as long as one that is sent, so that the time of an answer
   *   does not tell whether there is an account.
   */
  async add(
    tx: Transaction,
    kind: MailKind,
    to: string | null,
    data: Omit<MailData, "appName">,
  ): Promise<void> {
    const { appName, encryption, platform, queue, templates } = this.#options;
    const { minutes } = data;
    const waiting: WaitingMail = {
      to: to ?? "",
      ...renderMail(kind, { ...data, appName: appName() }, templates()),
      expiresAt: minutes === undefined ? null : platform.now() + minutes * 60_000,
    };
    const mail = JSON.stringify(waiting);
    await queue.add(tx, encryption.isOn ? JSON.stringify({ sealed: encryption.seal(mail) }) : mail);
  }

  /** Told after the commit of what `add` was called in. */
  wake(): void {
    this.#options.queue.wake();
  }

  /** Tells the owner of an account what was done to it. It never fails what it tells about. */
  async notify(to: string, notice: string): Promise<void> {
    if (!this.canSend) return;
    try {
      await this.#options.store.transact((tx) => this.add(tx, "security-notice", to, { notice }));
      this.wake();
    } catch (error) {
      this.#options.onError(error);
    }
  }

  /**
   * The mail of a job that is to be sent now.
   *
   * @returns null for a mail to nobody
   * @throws FinalFailure when it is too late for it, or can't be read
   */
  open(args: string): Mail | null {
    const waiting = this.#read(args);
    if (waiting.to === "") return null;
    const { expiresAt, ...mail } = waiting;
    if (expiresAt === null || expiresAt > this.#options.platform.now()) return mail;
    throw new FinalFailure("The code or link in this mail expired before the mail could be sent.");
  }

  #read(args: string): WaitingMail {
    let given: unknown = JSON.parse(args);
    if (isRecord(given) && typeof given["sealed"] === "string")
      given = this.#unseal(given["sealed"]);
    if (!isRecord(given)) throw unreadable();
    const [to, subject, text, html] = TEXTS.map((name) => given[name]);
    const { expiresAt = null } = given;
    if (
      typeof to !== "string" ||
      typeof subject !== "string" ||
      typeof text !== "string" ||
      typeof html !== "string" ||
      (expiresAt !== null && typeof expiresAt !== "number")
    )
      throw unreadable();
    return { to, subject, text, html, expiresAt };
  }

  #unseal(sealed: string): unknown {
    try {
      return JSON.parse(this.#options.encryption.open(sealed));
    } catch (cause) {
      throw new FinalFailure("The mail was encrypted with another PYLON_SSO_ENCRYPTION_KEY.", {
        cause,
      });
    }
  }
}

function unreadable(): FinalFailure {
  return new FinalFailure("The mail in the job can't be read.");
}

/** A name that somebody chose, as it may stand in a mail: nothing in it can be followed. */
export function asWords(name: string): string {
  return name
    .replaceAll(/[^\p{L}\p{N} _-]/gu, " ")
    .slice(0, 60)
    .trim();
}
