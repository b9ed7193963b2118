import { PylonError } from "@pylonsync/protocol";
import type { MailData, MailKind, MailTemplates } from "@pylonsync/sdk";
import type { Mail, Mailer } from "../../mail/mailer.ts";
import { renderMail } from "../../mail/templates.ts";
import type { Platform } from "../../platform.ts";
import type { Store, Transaction } from "../../store/store.ts";
import { FinalFailure } from "../../util/final-failure.ts";
import { isRecord } from "../../util/is-record.ts";
import type { Encryption } from "../security/encryption.ts";

/** The queue in which account mails wait until they are sent; jobs/ implements it. */
export interface MailQueue {
  /** Adds a mail within a transaction, to be sent if that commits. @param mail JSON text */
  add(tx: Transaction, mail: string): Promise<unknown>;
  /** Called after the commit when something was added. */
  wake(): void;
}

/** The dependencies of the account mails. */
export interface AuthMailsOptions {
  readonly platform: Pick<Platform, "now">;
  readonly store: Store;
  readonly mailer: Pick<Mailer, "canSend">;
  readonly queue: MailQueue;
  readonly encryption: Encryption;
  readonly appName: () => string;
  /** The app's own mail templates. */
  readonly templates: () => MailTemplates;
  /** Receives the reason why a notice could not be put into the queue. */
  readonly onError: (error: unknown) => void;
}

/** A mail in the queue. */
interface WaitingMail extends Mail {
  /** When the code or link in it expires, in milliseconds since 1970; null for never. */
  readonly expiresAt: number | null;
}

const TEXTS = ["to", "subject", "text", "html"] as const;

/**
 * The mails that belong to accounts. Each is a job: it is stored by the transaction that caused it,
 * and a failing mail provider delays the mail but not the response. Its contents give access to
 * accounts, so they are encrypted if the server has a key, and no list of jobs shows them.
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
   * @throws PylonError EMAIL_NOT_CONFIGURED; called before anything depends on whether an account
   *   exists
   */
  require(): void {
    if (this.canSend) return;
    throw new PylonError("EMAIL_NOT_CONFIGURED", "Mail is not configured on this server.", {
      hint: "Set PYLON_EMAIL_PROVIDER.",
    });
  }

  /**
   * Puts a mail into the queue within a transaction; call `wake` after its commit.
   *
   * @param to null for no recipient. This takes as long as a mail that is sent, so that the
   *   response time does not reveal whether an account exists.
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

  /** Call this after the commit of the transaction in which `add` was called. */
  wake(): void {
    this.#options.queue.wake();
  }

  /** Notifies the owner of an account of a change. A failure does not affect the change itself. */
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
   * Returns the mail of a job that is to be sent now.
   *
   * @returns null for a mail without a recipient
   * @throws FinalFailure when the mail has expired or can't be read
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

/** Returns a user-chosen name as it may appear in a mail: nothing in it can become a link. */
export function asWords(name: string): string {
  return name
    .replaceAll(/[^\p{L}\p{N} _-]/gu, " ")
    .slice(0, 60)
    .trim();
}
