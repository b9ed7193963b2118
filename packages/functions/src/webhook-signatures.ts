import { PylonError } from "@pylonsync/protocol";

/** A signed request: an HTTP function's Request, or `ctx.request` of a webhook's action. */
export type SignedRequest =
  | Request
  | { readonly headers: Readonly<Record<string, string>>; readonly rawBody: string };

/** A request with a valid signature. */
export interface VerifiedWebhook {
  /**
   * The sender's id of the event, which is the same for repeated deliveries. Use it as a key for
   * `ctx.runMutation(name, args, { idempotencyKey })`.
   */
  readonly id: string;
  /** The signed body. */
  readonly body: string;
  /** The body parsed as JSON; undefined if it is not JSON. */
  readonly json: unknown;
}

/** The options of a signature check. */
export interface VerifyOptions {
  /** The maximum difference between the signature's time and now, in seconds. Default 300. */
  readonly toleranceSecs?: number;
  /** Milliseconds since 1970; default: the current time. */
  readonly now?: number;
}

const TOLERANCE_SECONDS = 300;
const encoder = new TextEncoder();

/**
 * Verifies that Stripe signed a request (`Stripe-Signature`).
 *
 * @param secret the endpoint's secret, `whsec_...`; a list while secrets are rotated
 * @throws Error INVALID_SIGNATURE, also for a body without an `id`, which every event has
 *
 * @example
 * export default http({
 *   method: "POST",
 *   secrets: ["STRIPE_WEBHOOK_SECRET"],
 *   async handler(request, ctx) {
 *     const { id } = await verifyStripe(request, ctx.secrets.STRIPE_WEBHOOK_SECRET);
 *     await ctx.runMutation("addTodo", { title: `Pack ${id}` }, { idempotencyKey: id });
 *     return new Response(null, { status: 204 });
 *   },
 * });
 */
export async function verifyStripe(
  request: SignedRequest,
  secret: string | readonly string[],
  options: VerifyOptions = {},
): Promise<VerifiedWebhook> {
  const parts = headerOf(request, "stripe-signature")
    .split(",")
    .map((part) => part.trim().split("=", 2));
  const at = parts.find(([name]) => name === "t")?.[1] ?? "";
  checkAge(at, options);
  const signatures = parts.flatMap(([name, value = ""]) => (name === "v1" ? [value] : []));
  const bytes = await bodyOf(request);
  await check(`${at}.`, bytes, signatures.map(fromHex), textKeys(secret));
  const { body, json } = textOf(bytes);
  const id: unknown = typeof json === "object" && json !== null ? Reflect.get(json, "id") : null;
  // Without an id of its own, events would share an idempotency key, and only one would be applied.
  if (typeof id !== "string" || id === "") throw invalid("The body is not an event: it has no id.");
  return { id, body, json };
}

/**
 * Verifies that GitHub signed a request (`X-Hub-Signature-256`). GitHub signs the body alone, not
 * its time and not the `id`, the header `X-GitHub-Delivery`. With `id` as an idempotency key, a
 * delivery that GitHub repeats has no effect; someone who has recorded a signed request could still
 * send it again with another `id`.
 *
 * @throws Error INVALID_SIGNATURE
 *
 * @example
 * export default http({
 *   method: "POST",
 *   secrets: ["GITHUB_SECRET"],
 *   async handler(request, ctx) {
 *     const { json } = await verifyGithub(request, ctx.secrets.GITHUB_SECRET);
 *     ctx.log.info("pushed", { isObject: typeof json === "object" });
 *     return new Response();
 *   },
 * });
 */
export async function verifyGithub(
  request: SignedRequest,
  secret: string | readonly string[],
): Promise<VerifiedWebhook> {
  const [scheme, signature = ""] = headerOf(request, "x-hub-signature-256").split("=", 2);
  const bytes = await bodyOf(request);
  await check("", bytes, scheme === "sha256" ? [fromHex(signature)] : [], textKeys(secret));
  return { id: headerOf(request, "x-github-delivery"), ...textOf(bytes) };
}

/**
 * Verifies a signature of Svix or Standard Webhooks, which Resend, Clerk, OpenAI and others use
 * (`svix-signature` or `webhook-signature`).
 *
 * @param secret `whsec_` and base64, or only base64
 * @throws Error INVALID_SIGNATURE; TypeError for a secret that is not base64
 *
 * @example
 * export default http({
 *   method: "POST",
 *   secrets: ["RESEND_SECRET"],
 *   async handler(request, ctx) {
 *     const { id } = await verifySvix(request, ctx.secrets.RESEND_SECRET);
 *     ctx.log.info("received", { event: id });
 *     return new Response();
 *   },
 * });
 */
export async function verifySvix(
  request: SignedRequest,
  secret: string | readonly string[],
  options: VerifyOptions = {},
): Promise<VerifiedWebhook> {
  const prefix = header(request, "svix-id") === null ? "webhook" : "svix";
  const id = headerOf(request, `${prefix}-id`);
  const at = headerOf(request, `${prefix}-timestamp`);
  checkAge(at, options);
  const signatures = headerOf(request, `${prefix}-signature`)
    .split(" ")
    .flatMap((entry) => (entry.startsWith("v1,") ? [fromBase64(entry.slice(3))] : []));
  const bytes = await bodyOf(request);
  const keys = [secret].flat().map((text) => {
    const key = fromBase64(text.replace(/^whsec_/, ""));
    if (key === null) throw new TypeError("The secret is not base64.");
    return key;
  });
  await check(`${id}.${at}.`, bytes, signatures, keys);
  return { id, ...textOf(bytes) };
}

/**
 * Checks the signature of a prefix and a body. WebCrypto compares in constant time.
 *
 * @throws PylonError INVALID_SIGNATURE
 */
async function check(
  prefix: string,
  body: Uint8Array,
  signatures: readonly (Uint8Array<ArrayBuffer> | null)[],
  secrets: readonly Uint8Array<ArrayBuffer>[],
): Promise<void> {
  const start = encoder.encode(prefix);
  const signed = new Uint8Array(start.length + body.length);
  signed.set(start);
  signed.set(body, start.length);
  for (const secret of secrets) {
    if (secret.length === 0) throw new TypeError("The secret is empty.");
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", secret, algorithm, false, ["verify"]);
    for (const signature of signatures.slice(0, 10)) {
      if (signature === null) continue;
      if (await crypto.subtle.verify("HMAC", key, signature, signed)) return;
    }
  }
  throw invalid("It was not made with this secret, or the body was changed on the way.");
}

function checkAge(at: string, options: VerifyOptions): void {
  const { toleranceSecs = TOLERANCE_SECONDS, now = Date.now() } = options;
  if (!/^\d{1,12}$/.test(at)) throw invalid("It names no time.");
  if (Math.abs(now / 1000 - Number(at)) > toleranceSecs)
    throw invalid(`It is more than ${toleranceSecs} s old, or the clock of one side is wrong.`);
}

function textKeys(secret: string | readonly string[]): Uint8Array<ArrayBuffer>[] {
  return [secret].flat().map((text) => encoder.encode(text));
}

function header(request: SignedRequest, name: string): string | null {
  return request instanceof Request ? request.headers.get(name) : (request.headers[name] ?? null);
}

/** @throws PylonError INVALID_SIGNATURE */
function headerOf(request: SignedRequest, name: string): string {
  const value = header(request, name);
  if (value === null || value === "") throw invalid(`There is no header ${name}.`);
  return value;
}

/** Returns the bytes that were signed: as text, a byte order mark would be lost. */
async function bodyOf(request: SignedRequest): Promise<Uint8Array> {
  if (!(request instanceof Request)) return encoder.encode(request.rawBody);
  return new Uint8Array(await request.arrayBuffer());
}

function textOf(bytes: Uint8Array): Pick<VerifiedWebhook, "body" | "json"> {
  const body = new TextDecoder().decode(bytes);
  try {
    return { body, json: JSON.parse(body) };
  } catch {
    return { body, json: undefined };
  }
}

function fromHex(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^(?:[\da-f]{2})+$/i.test(text)) return null;
  return Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}

function invalid(hint: string): PylonError {
  return new PylonError("INVALID_SIGNATURE", "The signature of this request is not valid.", {
    hint,
  });
}
