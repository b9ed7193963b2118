import type { Mail, Mailer } from "./mailer.ts";

/** The number of newest mails that are kept. */
const MAX_KEPT = 200;

/** A mail that was not sent, for the page. */
export interface ReceivedMail extends Omit<Mail, "key"> {
  readonly id: number;
  /** ISO 8601. */
  readonly at: string;
}

/**
 * Receives mails in dev mode if no provider is set: a page shows them, and nothing leaves the
 * machine.
 */
export class DevMailbox implements Mailer {
  readonly canSend = true;
  readonly #now: () => number;
  readonly #onMail: (mail: ReceivedMail) => void;
  #mails: readonly ReceivedMail[] = [];
  #count = 0;

  /** @param onMail called for each mail */
  constructor(now: () => number, onMail: (mail: ReceivedMail) => void) {
    this.#now = now;
    this.#onMail = onMail;
  }

  send({ to, subject, text, html }: Mail): Promise<void> {
    const at = new Date(this.#now()).toISOString();
    const received = { to, subject, text, html, id: (this.#count += 1), at };
    this.#mails = [received, ...this.#mails].slice(0, MAX_KEPT);
    this.#onMail(received);
    return Promise.resolve();
  }

  /** The mails, the newest first. */
  get mails(): readonly ReceivedMail[] {
    return this.#mails;
  }
}
