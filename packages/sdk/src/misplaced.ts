import { isObject } from "./mistake.ts";

/** A part of an app, by the key of `buildManifest` to which it belongs. */
type Kind =
  | "auth"
  | "crons"
  | "entities"
  | "functions"
  | "plugins"
  | "policies"
  | "rooms"
  | "routes"
  | "shards"
  | "workflows";

/** What a part is, and what to write instead, by the key to which the part belongs. */
const KINDS: Readonly<Record<Kind, readonly [what: string, instead: string]>> = {
  auth: ["the settings of auth()", "write auth: auth({ ... })"],
  crons: ["a cron", "write crons: [{ name, schedule, function }]"],
  entities: ["an entity", "write entities: [...]"],
  functions: ["a function", "put it in a file of functions/, as its default export"],
  plugins: ["a plugin", "write plugins: [...]"],
  policies: ["a policy", "write policies: [...]"],
  rooms: ["the permissions of a room", "write rooms: [{ name, allow }]"],
  routes: ["a route", "write routes: [...]"],
  shards: ["a shard", "put it in a file of shards/, as its default export"],
  workflows: ["a workflow", "put it in a file of workflows/, as its default export"],
};

const AUTH_KEYS = new Set(["user", "session", "trustedOrigins", "pages", "hooks", "mails"]);
/** The keys that only plugins have. */
const PLUGIN_KEYS: readonly string[] = [
  ...["schema", "hooks", "auth", "functions", "crons", "queues", "before", "after", "config"],
  "entities",
];
/** The places of the definitions of code, by their type. */
const CODE: Readonly<Record<string, Kind>> = {
  query: "functions",
  mutation: "functions",
  action: "functions",
  http: "functions",
  workflow: "workflows",
  shard: "shards",
};
const ALLOW = /^allow[A-Z]?/;

/**
 * Checks that the parts of an app are under their keys.
 *
 * @throws Error that says to which key a part belongs
 */
export function checkPlaces(definition: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(definition)) {
    if (Array.isArray(value))
      for (const [index, one] of value.entries()) checkPlace(key, `${key}[${index}]`, one);
    else checkPlace(key, key, value);
  }
}

function checkPlace(key: string, place: string, value: unknown): void {
  const kind = kindOf(value);
  if (kind === undefined || kind === key) return;
  const [what, instead] = KINDS[kind];
  throw new Error(`${place} of buildManifest is ${what}, which does not belong there: ${instead}.`);
}

/** Returns what a value certainly is: parts are plain objects, which differ in their keys. */
function kindOf(value: unknown): Kind | undefined {
  if (!isObject(value)) return undefined;
  const has = (...keys: readonly string[]): boolean =>
    keys.every((key) => typeof value[key] === "string");
  const keys = Object.keys(value);
  if (Array.isArray(value["fields"]) && Array.isArray(value["indexes"])) return "entities";
  const { type } = value;
  if (typeof type === "string" && Object.hasOwn(CODE, type)) return CODE[type];
  if (has("name", "schedule", "function")) return "crons";
  if (has("path", "mode")) return "routes";
  if (has("name") && keys.some((key) => ALLOW.test(key)))
    return has("entity") || has("action") ? "policies" : roomOrPolicy(keys);
  if (has("name") && keys.some((key) => PLUGIN_KEYS.includes(key))) return "plugins";
  return keys.length > 0 && keys.every((key) => AUTH_KEYS.has(key)) ? "auth" : undefined;
}

/** A policy without an entity applies to all of them; only a room has these two keys. */
function roomOrPolicy(keys: readonly string[]): Kind | undefined {
  return keys.some((key) => ["allowJoin", "allowSend", "allowSee"].includes(key))
    ? "rooms"
    : undefined;
}
