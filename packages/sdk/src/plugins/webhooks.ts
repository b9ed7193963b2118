import { isObject, shown, suggestion } from "../mistake.ts";
import { definePlugin, type HookContext, type Plugin } from "../plugin.ts";
import { checkCount, checkOptions, copiedFields } from "./options.ts";

/** The operation on a row. */
type WebhookOperation = "insert" | "update" | "delete";

/** A receiver of webhooks, with the events that it receives. */
export interface WebhookEndpoint {
  /** Unique among the endpoints; used in jobs and in the delivery log. */
  readonly name: string;
  /**
   * The URL to send POST requests to; https outside dev mode. `${env.NAME}` is replaced with the
   * variable.
   */
  readonly url: string;
  /**
   * `whsec_` followed by the key in base64, at least 24 bytes: `${env.NAME}`. With two secrets each
   * message has both signatures, so that the receiver can switch to the new one.
   */
  readonly secrets: readonly string[];
  /** Event names: `Invoice.insert`, `Invoice.*`, or `*` for all entities of the app. */
  readonly events: readonly string[];
  /** The number of retries of a failed delivery; default 50, which takes about eight hours. */
  readonly maxRetries?: number;
}

/** The options of `webhooks`. */
export interface WebhooksOptions {
  readonly endpoints: readonly WebhookEndpoint[];
  /** The maximum number of concurrent deliveries per endpoint, across all replicas; default 4. */
  readonly concurrency?: number;
}

/** The job that delivers a message. It runs in the server; functions can't have this name. */
export const WEBHOOK_JOB = "pylon/webhook";
/** The queue of those jobs. */
export const WEBHOOK_QUEUE = "webhooks";

const ENDPOINT_KEYS = ["name", "url", "secrets", "events", "maxRetries"] as const;
const OPERATIONS: readonly string[] = ["insert", "update", "delete", "*"];
const DEFAULT_RETRIES = 50;
const MAX_RETRIES = 99;
/**
 * The maximum size of the rows in a message, in bytes; a larger message only contains the row's id.
 */
const MAX_DATA_BYTES = 200 * 1024;
const MAX_ENDPOINTS = 100;

/**
 * Sends inserts, updates and deletes to other servers as signed HTTP requests, as specified by
 * Standard Webhooks. A message is queued in the transaction of the write: it is sent if the write
 * commits, and retried until the receiver accepts it.
 *
 * @example
 * const plugins = [
 *   webhooks({
 *     endpoints: [
 *       {
 *         name: "billing",
 *         url: "${env.BILLING_HOOK_URL}",
 *         secrets: ["${env.BILLING_HOOK_SECRET}"],
 *         events: ["Invoice.insert", "Payment.*"],
 *       },
 *     ],
 *   }),
 * ];
 */
export function webhooks(options: WebhooksOptions): Plugin {
  checkOptions("webhooks", options, ["endpoints", "concurrency"]);
  checkCount("webhooks", "concurrency", options.concurrency, 1);
  const { endpoints, concurrency = 4 } = options;
  checkEndpoints(endpoints);
  /** The fields of each entity that messages may contain. */
  const told = new Map<string, readonly string[]>();
  const tell = async (
    context: HookContext,
    operation: WebhookOperation,
    row: Readonly<Record<string, unknown>>,
    before?: Readonly<Record<string, unknown>>,
  ): Promise<void> => {
    const fields = told.get(context.entity);
    if (fields === undefined) return;
    const type = `${context.entity}.${operation}`;
    const wanted = endpoints.filter(({ events }) =>
      events.some((event) => [type, `${context.entity}.*`, "*"].includes(event)),
    );
    if (wanted.length === 0) return;
    const message = messageOf(context, type, pick(row, fields), before && pick(before, fields));
    for (const { name, maxRetries = DEFAULT_RETRIES } of wanted)
      await context.schedule(
        WEBHOOK_JOB,
        { endpoint: name, id: `msg_${context.uuid()}`, message },
        { queue: WEBHOOK_QUEUE, key: name, maxRetries },
      );
  };
  return definePlugin({
    name: "webhooks",
    config: { endpoints },
    queues: { [WEBHOOK_QUEUE]: { perKey: { concurrency } } },
    schema: (all) => {
      checkEvents(
        endpoints,
        all.map(({ name }) => name),
      );
      for (const one of all) told.set(one.name, ["id", ...copiedFields(one)]);
      return all;
    },
    hooks: {
      afterInsert: (row, context) => tell(context, "insert", row),
      afterUpdate: (row, before, context) => tell(context, "update", row, before),
      afterDelete: (before, context) => tell(context, "delete", before),
    },
  });
}

/** Returns the message as JSON: every attempt must send, and sign, the same text. */
function messageOf({ now }: HookContext, type: string, row: object, before?: object): string {
  const head = { type, timestamp: new Date(now).toISOString() };
  const whole = JSON.stringify({ ...head, data: { row, ...(before && { before }) } });
  if (new TextEncoder().encode(whole).length <= MAX_DATA_BYTES) return whole;
  const { id }: { readonly id?: unknown } = row;
  return JSON.stringify({ ...head, data: { row: { id }, truncated: true } });
}

function pick(row: Readonly<Record<string, unknown>>, fields: readonly string[]): object {
  return Object.fromEntries(fields.map((name) => [name, row[name] ?? null]));
}

function checkEndpoints(endpoints: unknown): asserts endpoints is readonly WebhookEndpoint[] {
  if (!Array.isArray(endpoints) || endpoints.length > MAX_ENDPOINTS)
    throw new Error(`endpoints of webhooks must be a list of at most ${MAX_ENDPOINTS} endpoints.`);
  const names = new Set<unknown>();
  for (const [index, endpoint] of endpoints.entries()) {
    const at = `endpoints[${index}] of webhooks`;
    checkOptions(at, endpoint, ENDPOINT_KEYS);
    const { name, url, secrets, events, maxRetries }: Record<string, unknown> = endpoint;
    if (typeof name !== "string" || !/^[\w.-]{1,64}$/.test(name))
      throw new Error(`name of ${at} is ${shown(name)}: use letters, digits, dots, - and _.`);
    if (names.has(name)) throw new Error(`webhooks has two endpoints with the name "${name}".`);
    names.add(name);
    if (typeof url !== "string") throw new Error(`url of ${at} is ${shown(url)}.`);
    if (!isTexts(secrets) || secrets.length === 0)
      throw new Error(`secrets of ${at} must be a list of secrets, such as "\${env.HOOK_SECRET}".`);
    if (!isTexts(events) || events.length === 0)
      throw new Error(`events of ${at} must be a list, such as ["Invoice.insert"].`);
    checkCount(at, "maxRetries", maxRetries, 0);
    if (Number(maxRetries ?? 0) > MAX_RETRIES)
      throw new Error(`maxRetries of ${at} is at most ${MAX_RETRIES}.`);
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** @throws Error for an unknown entity or operation */
function checkEvents(endpoints: readonly WebhookEndpoint[], entities: readonly string[]): void {
  for (const { name, events } of endpoints)
    for (const event of events) {
      if (event === "*") continue;
      const [entity = "", operation = "", ...rest] = event.split(".");
      const of = `The endpoint "${name}" of webhooks subscribes to "${event.slice(0, 80)}"`;
      if (!entities.includes(entity))
        throw new Error(`${of}, which is an unknown entity. ${suggestion(entity, entities)}`);
      if (!OPERATIONS.includes(operation) || rest.length > 0)
        throw new Error(`${of}: write ${entity}. and one of ${OPERATIONS.join(", ")}.`);
    }
}

/**
 * Returns the plugin's endpoints from a manifest.
 *
 * @throws Error that names the invalid setting
 *
 * @example
 * const names = endpointsOf({ endpoints: [] }).map(({ name }) => name);
 */
export function endpointsOf(config: unknown): readonly WebhookEndpoint[] {
  const endpoints = isObject(config) ? config["endpoints"] : undefined;
  if (endpoints === undefined) return [];
  checkEndpoints(endpoints);
  return endpoints;
}
