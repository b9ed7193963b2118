import type { Html } from "../html.ts";

/** An email to one recipient. */
export interface EmailMessage {
  readonly to: string;
  /** A single line of at most 200 characters. */
  readonly subject: string;
  /** The plain text version, for clients that do not show HTML. */
  readonly text: string;
  /** The HTML version; default: the text. Build it with `html`, which escapes values. */
  readonly html?: string | Html;
}

/**
 * Sends email in a job, which retries for about a day if delivery fails. In a mutation the job is
 * part of the transaction: if the handler throws, nothing is sent. If a server crashes while
 * sending, the email may be sent twice.
 */
export interface Email {
  /**
   * @returns the job's id
   * @throws Error INVALID_ARGS, PAYLOAD_TOO_LARGE, EMAIL_NOT_CONFIGURED
   * @example
   * await ctx.email.send({
   *   to: "ann@example.com",
   *   subject: "Your order",
   *   text: "It is packed.",
   *   html: html`<p>It is <b>packed</b>.</p>`,
   * });
   */
  send(message: EmailMessage): Promise<string>;
}
