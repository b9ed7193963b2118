import type { AddsOf, WithAdded } from "../added-fields.ts";
import type { Entity, RowOf } from "../entity.ts";
import type { FieldsAdded, Plugin } from "../plugin.ts";
import type { EmailContent, EmailEvent, EmailSend } from "./email.ts";

type MaybePromise<T> = T | Promise<T>;
type Operation = EmailEvent["operation"];

/** The change of a row of one entity that an email is about. */
export interface EmailEventOf<E, O extends Operation = Operation> extends Omit<
  EmailEvent,
  "row" | "before" | "operation"
> {
  /** The row after the change, with its hidden fields; after a delete, the row before it. */
  readonly row: RowOf<E>;
  /** The row before an update; `null` for an insert and a delete. */
  readonly before: O extends "update" ? RowOf<E> : null;
  readonly operation: O;
}

/** An email that is sent when a row of one entity changes. */
export type EmailSendOf<E> = {
  readonly [O in Operation]: {
    /** Unique among the sends. */
    readonly name: string;
    readonly on: O;
    /** As for `EmailSend`. */
    readonly to:
      | `data.${keyof RowOf<E> & string}`
      | `${string}@${string}`
      | ((
          event: EmailEventOf<E, O>,
        ) => MaybePromise<string | readonly string[] | null | undefined>);
    /** Sends the email only if it returns true. */
    readonly when?: (event: EmailEventOf<E, O>) => MaybePromise<boolean>;
    readonly template: (event: EmailEventOf<E, O>) => MaybePromise<EmailContent>;
    /** Sends the email at most once for each row, however often the change happens again. */
    readonly once?: boolean;
  };
}[Operation];

/**
 * Declares an email about one entity, with its types.
 *
 * @example
 * const Order = entity("Order", { email: field.string(), item: field.string() });
 * const plugins = [
 *   email({
 *     sends: [
 *       sendFor(Order, {
 *         name: "order-received",
 *         on: "insert",
 *         to: "data.email",
 *         template: ({ row }) => ({ subject: "Your order", text: `You ordered ${row.item}.` }),
 *       }),
 *     ],
 *   }),
 * ];
 */
export function sendFor<E extends Entity>(entity: E, send: EmailSendOf<E>): EmailSend;
/**
 * With the fields that plugins add to the entity.
 *
 * @example
 * const Post = entity("Post", { title: field.string(), email: field.string() });
 * const deletes = softDelete({ entities: ["Post"] });
 * const send = sendFor(Post, [deletes], {
 *   name: "post-deleted",
 *   on: "update",
 *   when: ({ row, before }) => row.deletedAt !== null && before.deletedAt === null,
 *   to: "data.email",
 *   template: ({ row }) => ({ subject: "Deleted", text: `${row.title} was deleted.` }),
 * });
 */
export function sendFor<E extends Entity, const P extends readonly (Plugin | FieldsAdded)[]>(
  entity: E,
  plugins: P,
  send: EmailSendOf<WithAdded<E, AddsOf<{ readonly plugins: P }>>>,
): EmailSend;
export function sendFor(
  { name }: Entity,
  ...[first, send = first]: readonly [given: object, send?: object]
): EmailSend {
  // `email` checks it, and calls it only for rows of the entity.
  const { on, ...rest } = send as Omit<EmailSend, "on"> & { readonly on: Operation };
  return { ...rest, on: `${name}.${on}` };
}
