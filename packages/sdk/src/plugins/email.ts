import { entity as defineEntity } from "../entity.ts";
import { field } from "../field.ts";
import { isHtml } from "../html-mark.ts";
import type { ManifestEntity } from "../manifest.ts";
import { isObject, shown, suggestion } from "../mistake.ts";
import { definePlugin, type HookContext, type Plugin } from "../plugin.ts";
import { checkField, checkOptions } from "./options.ts";

type Row = Readonly<Record<string, unknown>>;
type MaybePromise<T> = T | Promise<T>;

/** The change that an email is about. */
export interface EmailEvent {
  /** The row after the change, with its hidden fields; after a delete, the row before it. */
  readonly row: Row;
  /** The row before an update; `null` for an insert and a delete. */
  readonly before: Row | null;
  readonly operation: "insert" | "update" | "delete";
  /** The user whose write caused the change. */
  readonly auth: HookContext["auth"];
  /** Reads rows in the same transaction, without policies. */
  readonly db: Pick<HookContext["db"], "get" | "query" | "count">;
}

/** The content of an email. */
export interface EmailContent {
  /** Line breaks become spaces; at most 200 characters are sent. */
  readonly subject: string;
  readonly text: string;
  /** Default: the text. A string, or the result of `html` of `@pylonsync/functions`. */
  readonly html?: string | object;
}

/** An email that is sent when a row changes. */
export interface EmailSend {
  /** Unique among the sends. */
  readonly name: string;
  /** `Order.insert`, `Order.update` or `Order.delete`. */
  readonly on: string;
  /**
   * `data.email`: the address in this field of the row. A text with `@`: this address. A function:
   * the addresses that it returns, at most 100; `null` for none.
   */
  readonly to:
    | string
    | ((event: EmailEvent) => MaybePromise<string | readonly string[] | null | undefined>);
  /** Sends the email only if it returns true. */
  readonly when?: (event: EmailEvent) => MaybePromise<boolean>;
  readonly template: (event: EmailEvent) => MaybePromise<EmailContent>;
  /** Sends the email at most once for each row, however often the change happens again. */
  readonly once?: boolean;
}

/** Options of `email`. */
export interface EmailOptions {
  readonly sends: readonly EmailSend[];
}

/** The name of the job that sends an email. No function can have this name. */
export const EMAIL_JOB = "pylon/email";
/** The queue of those jobs. */
export const EMAIL_QUEUE = "email";
/** The number of retries of a job whose email could not be delivered to the provider. */
export const EMAIL_RETRIES = 7;

const SENT = "SentEmail";
const SEND_KEYS = ["name", "on", "to", "when", "template", "once"] as const;
const OPERATIONS: readonly string[] = ["insert", "update", "delete"];
const MAX_SENDS = 100;
const MAX_RECIPIENTS = 100;
const MAX_SUBJECT = 200;

/**
 * Sends emails when rows are inserted, updated or deleted. The template runs in the transaction of
 * the write, and the email is queued as a job of it: it is sent if the write commits, and the job
 * retries if the provider fails.
 *
 * @throws Error that names the invalid option
 *
 * @example
 * const plugins = [
 *   email({
 *     sends: [
 *       {
 *         name: "order-shipped",
 *         on: "Order.update",
 *         when: ({ row, before }) => row.status === "shipped" && before?.status !== "shipped",
 *         to: "data.email",
 *         template: ({ row }) => ({ subject: "Your order", text: `${row.item} is on its way.` }),
 *         once: true,
 *       },
 *     ],
 *   }),
 * ];
 */
export function email(options: EmailOptions): Plugin {
  checkOptions("email", options, ["sends"]);
  const { sends } = options;
  checkSends(sends);
  const run = async (
    context: HookContext,
    operation: EmailEvent["operation"],
    row: Row & { readonly id: string },
    before: Row | null = null,
  ): Promise<void> => {
    if (context.entity === SENT) return;
    const { auth, db } = context;
    const event: EmailEvent = { row, before, operation, auth, db };
    for (const send of sends)
      if (send.on === `${context.entity}.${operation}`)
        await queueEmail(send, event, row.id, context);
    if (operation === "delete") await forgetSent(context, row.id, sends);
  };
  const isOnce = sends.some(({ once }) => once === true);
  return definePlugin({
    name: "email",
    ...(isOnce
      ? { entities: [SENT_EMAIL], policies: [{ name: "email", entity: SENT, allow: "false" }] }
      : {}),
    schema: (all) => {
      for (const send of sends) checkEvent(send, all);
      return all;
    },
    hooks: {
      afterInsert: (row, context) => run(context, "insert", row),
      afterUpdate: (row, before, context) => run(context, "update", row, before),
      afterDelete: (before, context) => run(context, "delete", before),
    },
  });
}

/** Stores the emails that are sent once for each row. */
const SENT_EMAIL = defineEntity(
  SENT,
  { send: field.string(), rowId: field.string(), at: field.datetime() },
  { indexes: [{ name: "by_send", fields: ["send", "rowId"], unique: true }] },
);

async function queueEmail(
  send: EmailSend,
  event: EmailEvent,
  rowId: string,
  { db, now, schedule }: HookContext,
): Promise<void> {
  if (send.when !== undefined && (await send.when(event)) !== true) return;
  const key = { send: send.name, rowId };
  if (send.once === true && (await db.count(SENT, key)) > 0) return;
  const addresses = await recipients(send, event);
  if (addresses.length === 0) return;
  const mail = contentOf(send, await send.template(event));
  // Stored after the template ran: a row without an address may get one later.
  if (send.once === true) await db.insert(SENT, { ...key, at: new Date(now).toISOString() });
  for (const to of addresses)
    await schedule(EMAIL_JOB, { to, ...mail }, { queue: EMAIL_QUEUE, maxRetries: EMAIL_RETRIES });
}

/** Returns the addresses without duplicates. */
async function recipients({ name, to }: EmailSend, event: EmailEvent): Promise<readonly string[]> {
  const found: unknown =
    typeof to === "function" ? await to(event) : to.includes("@") ? to : event.row[fieldIn(to)];
  const list: readonly unknown[] = Array.isArray(found) ? found : [found ?? ""];
  const addresses = new Set<string>();
  for (const one of list) {
    if (typeof one !== "string")
      throw new Error(`The recipient of the email "${name}" is ${shown(one)}: return an address.`);
    if (one.trim() !== "") addresses.add(one);
  }
  if (addresses.size > MAX_RECIPIENTS)
    throw new Error(`The email "${name}" has more than ${MAX_RECIPIENTS} recipients.`);
  return [...addresses];
}

function contentOf(send: EmailSend, content: unknown): Row {
  const at = `The template of the email "${send.name}"`;
  checkOptions(at, content, ["subject", "text", "html"]);
  const { subject, text, html } = isObject(content) ? content : {};
  if (typeof subject !== "string" || subject.trim() === "")
    throw new Error(`${at} returned the subject ${shown(subject)}, and must return a text.`);
  if (typeof text !== "string" || text === "")
    throw new Error(`${at} returned the text ${shown(text)}, and must return a text.`);
  // A subject contains values of rows, which must neither break the header nor fail the job.
  const line = subject.replaceAll(/\p{Cc}+/gu, " ").trim();
  if (html !== undefined && typeof html !== "string" && !isHtml(html))
    throw new Error(`${at} returned the html ${shown(html)}: return a text or html\`...\`.`);
  return {
    subject: line.slice(0, MAX_SUBJECT).toWellFormed(),
    text,
    ...(html === undefined ? {} : { html: String(html) }),
  };
}

/** Ids of rows are not reused: the stored entries of a deleted one are useless. */
async function forgetSent(
  { entity, db }: HookContext,
  rowId: string,
  sends: readonly EmailSend[],
): Promise<void> {
  const names = sends
    .filter(({ on, once }) => once === true && on.startsWith(`${entity}.`))
    .map(({ name }) => name);
  if (names.length === 0) return;
  for (const { id } of await db.query(SENT, { rowId, send: { $in: names } }))
    await db.delete(SENT, id);
}

function checkSends(sends: unknown): asserts sends is readonly EmailSend[] {
  if (!Array.isArray(sends) || sends.length > MAX_SENDS)
    throw new Error(`sends of email must be a list of at most ${MAX_SENDS} emails.`);
  const names = new Set<unknown>();
  for (const [index, send] of sends.entries()) {
    const at = `sends[${index}] of email`;
    checkOptions(at, send, SEND_KEYS);
    const { name, on, to, when, template, once }: Record<string, unknown> = send;
    if (typeof name !== "string" || !/^[\w.-]{1,64}$/.test(name))
      throw new Error(`name of ${at} is ${shown(name)}: use letters, digits, dots, - and _.`);
    if (names.has(name)) throw new Error(`email has two sends with the name "${name}".`);
    names.add(name);
    if (typeof on !== "string")
      throw new Error(`on of ${at} is ${shown(on)}: write "Order.insert".`);
    const isAddress = typeof to === "string" && (to.includes("@") || to.startsWith("data."));
    if (!isAddress && typeof to !== "function")
      throw new Error(`to of ${at} is ${shown(to)}: write "data.email", an address or a function.`);
    for (const [key, value] of Object.entries({
      template,
      ...(when === undefined ? {} : { when }),
    }))
      if (typeof value !== "function")
        throw new Error(`${key} of ${at} is ${shown(value)}, and must be a function.`);
    if (once !== undefined && typeof once !== "boolean")
      throw new Error(`once of ${at} is ${shown(once)}, and must be true or false.`);
  }
}

/** @throws Error for an unknown entity, operation or field */
function checkEvent({ name, on, to }: EmailSend, entities: readonly ManifestEntity[]): void {
  const of = `The email "${name}" is sent on "${on.slice(0, 80)}"`;
  const [entityName = "", operation = "", ...rest] = on.split(".");
  const entity = entities.find((one) => one.name === entityName);
  if (entity === undefined) {
    const known = entities.map((one) => one.name);
    throw new Error(`${of}: there is no such entity. ${suggestion(entityName, known)}`);
  }
  if (!OPERATIONS.includes(operation) || rest.length > 0)
    throw new Error(`${of}: write ${entityName}. and one of ${OPERATIONS.join(", ")}.`);
  if (typeof to === "string" && !to.includes("@")) checkField("email", entity, fieldIn(to));
}

function fieldIn(to: string): string {
  return to.slice("data.".length);
}
