import { PylonError } from "@pylonsync/protocol";
import { html, type Email, type EmailMessage } from "@pylonsync/functions";
import { isHtml } from "@pylonsync/sdk";
import { EMAIL_JOB, EMAIL_QUEUE, EMAIL_RETRIES } from "@pylonsync/sdk/plugins";
import { parseEmail } from "../schema/email-address.ts";
import type { Store, Transaction } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";
import type { JobQueue, ScheduledCall } from "./scheduler.ts";

/**
 * The job that sends a mail with a code or link that gives access to an account. Its arguments are
 * never shown, and are erased when the job is over.
 */
export const ACCOUNT_EMAIL_JOB = "pylon/account-email";
const MAX_ATTEMPTS = EMAIL_RETRIES + 1;
/** About two hours. A mail with a code or link is dropped earlier, when that expires. */
const MAX_ACCOUNT_ATTEMPTS = 20;
const MAX_SUBJECT = 200;
/**
 * The maximum size of a mail as JSON, in bytes. The limit of a job's arguments is slightly higher.
 */
const MAX_BYTES = 250_000;
const PARTS: readonly string[] = ["to", "subject", "text", "html"];

/** A mail in the form that the mailer accepts. */
interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly key?: string;
}

/** Sends mails. */
export interface MailSender {
  readonly canSend: boolean;
  send(mail: Mail): Promise<void>;
}

/** `ctx.email`: creates a job that sends the mail. */
export class CallEmail implements Email {
  readonly #canSend: boolean;
  readonly #queue: Pick<JobQueue, "now">;
  readonly #add: (call: ScheduledCall) => Promise<string>;

  /** @param add creates a job; in a mutation as part of the transaction */
  constructor(
    { canSend }: Pick<MailSender, "canSend">,
    queue: Pick<JobQueue, "now">,
    add: (call: ScheduledCall) => Promise<string>,
  ) {
    this.#canSend = canSend;
    this.#queue = queue;
    this.#add = add;
  }

  readonly send = async (message: EmailMessage): Promise<string> => {
    const mail = checkedMail(message);
    if (!this.#canSend)
      throw new PylonError("EMAIL_NOT_CONFIGURED", "Mail is not configured on this server.", {
        hint: "Set PYLON_EMAIL_PROVIDER.",
      });
    return this.#add(emailCall(EMAIL_JOB, JSON.stringify(mail), this.#queue.now()));
  };
}

/**
 * Creates `ctx.email` of a mutation.
 *
 * @param times receives the due times of the jobs that were added
 */
export function transactionEmail(
  sender: MailSender,
  queue: JobQueue,
  { tx, times }: { readonly tx: Transaction; readonly times: number[] },
): CallEmail {
  return new CallEmail(sender, queue, (call) => {
    times.push(call.dueAt);
    return queue.add(tx, call);
  });
}

/** Creates `ctx.email` of an action, which adds each mail in a separate transaction. */
export function actionEmail(
  sender: MailSender,
  queue: JobQueue,
  store: Pick<Store, "transact">,
): CallEmail {
  return new CallEmail(sender, queue, async (call) => {
    const id = await store.transact((tx) => queue.add(tx, call));
    queue.wake([call.dueAt]);
    return id;
  });
}

/** Runs an attempt to send a mail. */
type EmailTask = (attempt: {
  readonly job: { readonly id: string; readonly args: string };
  readonly hold: (tx: Transaction) => Promise<void>;
  readonly finish: (tx: Transaction, outcome: { readonly kind: "completed" }) => Promise<void>;
}) => Promise<void>;

/** The task of the job. An error of the mailer fails the attempt, which is retried later. */
export function emailTask(sender: MailSender, store: Pick<Store, "transact">): EmailTask {
  return accountEmailTask(sender, store, (args) => checkedMail(JSON.parse(args)));
}

/**
 * As `emailTask`, for ACCOUNT_EMAIL_JOB.
 *
 * @param open decodes the mail from the arguments; null if it has no recipient and is not sent
 */
export function accountEmailTask(
  sender: MailSender,
  store: Pick<Store, "transact">,
  open: (args: string) => Mail | null,
): EmailTask {
  return async ({ job, hold, finish }) => {
    const mail = open(job.args);
    if (mail !== null) {
      // A server that was suspended since it leased the job must not send a mail that another
      // server has sent.
      await store.transact(hold);
      // If the server crashes now, the mail may have been sent: the next attempt sends it with the
      // same key.
      await sender.send({ ...mail, key: job.id });
    }
    await store.transact((tx) => finish(tx, { kind: "completed" }));
  };
}

/**
 * Creates the job that sends an account mail, with a higher priority than the app's mails.
 *
 * @param args JSON text
 */
export function accountEmailJob(args: string, now: number): ScheduledCall {
  return {
    ...emailCall(ACCOUNT_EMAIL_JOB, args, now),
    priority: "high",
    maxAttempts: MAX_ACCOUNT_ATTEMPTS,
  };
}

function emailCall(name: string, args: string, now: number): ScheduledCall {
  return {
    name,
    args,
    queue: EMAIL_QUEUE,
    priority: "normal",
    dueAt: now,
    delayMs: 0,
    maxAttempts: MAX_ATTEMPTS,
    timeoutMs: null,
    key: null,
    dedupeKey: null,
  };
}

/** @throws PylonError INVALID_ARGS, PAYLOAD_TOO_LARGE */
function checkedMail(message: unknown): Mail {
  if (!isRecord(message))
    throw invalid("message", "A mail must be an object: { to, subject, text }.");
  const other = Object.keys(message).find((name) => !PARTS.includes(name));
  if (other !== undefined)
    throw invalid(other, `A mail has no field "${other.slice(0, 80)}": use ${PARTS.join(", ")}.`);
  const { to, subject, text, html: body } = message;
  const address = typeof to === "string" ? parseEmail(to) : null;
  if (address === null) throw invalid("to", "A mail must be sent to exactly one address.");
  if (typeof subject !== "string" || subject.trim() === "" || subject.length > MAX_SUBJECT)
    throw invalid("subject", `The subject must have 1 to ${MAX_SUBJECT} characters.`);
  if (/[\r\n\0]/.test(subject)) throw invalid("subject", "The subject must be a single line.");
  if (typeof text !== "string" || text === "")
    throw invalid("text", "A mail must have a text, for readers that do not show HTML.");
  const mail = { to: address, subject, text, html: htmlOf(body, text) };
  if (Buffer.byteLength(JSON.stringify(mail)) <= MAX_BYTES) return mail;
  throw new PylonError("PAYLOAD_TOO_LARGE", `A mail may have at most ${MAX_BYTES} bytes.`, {
    field: "html",
  });
}

function htmlOf(body: unknown, text: string): string {
  if (body === undefined)
    return String(html`<p>${text.split("\n").map((line) => html`${line}<br />`)}</p>`);
  if (typeof body === "string" || isHtml(body)) return String(body);
  throw invalid("html", "The HTML of a mail must be a string, or made with html`...`.");
}

/** Returns the mail as plain data, for another process. */
export function plainMail(message: unknown): unknown {
  if (!isRecord(message) || !isHtml(message["html"])) return message;
  return { ...message, html: String(message["html"]) };
}

function invalid(field: string, message: string): PylonError {
  return new PylonError("INVALID_ARGS", message, { field });
}
