import type { AuthCode, AuthDefinition, AuthHooks } from "./auth.ts";
import type { Entity } from "./entity.ts";
import type { MailKind } from "./mail.ts";
import {
  MANIFEST_VERSION,
  type Manifest,
  type ManifestCall,
  type ManifestCron,
  type ManifestPlugin,
  type ManifestPolicy,
  type ManifestQueue,
  type ManifestRoom,
  type ManifestRoute,
} from "./manifest.ts";
import { checkFunctions, checkList, isObject, shown, unknownKeys } from "./mistake.ts";
import type { EntityHooks, Plugin } from "./plugin.ts";

/** What `buildManifest` takes. */
export interface AppDefinition {
  readonly name: string;
  readonly version: string;
  readonly entities: readonly Entity[];
  readonly routes?: readonly ManifestRoute[];
  readonly queries?: readonly ManifestCall[];
  readonly actions?: readonly ManifestCall[];
  readonly policies?: readonly ManifestPolicy[];
  readonly auth?: AuthDefinition;
  readonly plugins?: readonly Plugin[];
  /**
   * Functions that are called at times, such as
   * `{ name: "digest", schedule: "0 8 * * *", function: "sendDigest" }`.
   */
  readonly crons?: readonly ManifestCron[];
  /**
   * Limits of queues of jobs, held by all replicas together, such as
   * `{ mail: { concurrency: 5, rate: { max: 100, perSeconds: 60 } } }`.
   */
  readonly queues?: Readonly<Record<string, ManifestQueue>>;
  /**
   * Who may join, send and see in which rooms, such as `{ name: "channel/:channelId", allow:
   * "exists(Member, channelId == room.channelId && userId == auth.userId)" }`. With this key a room
   * that it does not name is closed outside dev mode; without it whoever is signed in and knows a
   * room's name may join it.
   */
  readonly rooms?: readonly ManifestRoom[];
  /**
   * `"public"`: an entity that no policy names is open to everyone. Without it such an entity is
   * closed outside dev mode.
   */
  readonly access?: "public";
  /**
   * Who hears the presence and the topics that users send without a room: `"tenant"`: everyone in
   * their tenant; without this key those who are in a room with them.
   */
  readonly peerMessages?: "tenant";
}

/** A manifest that knows its entities' types. */
export interface App<D extends AppDefinition = AppDefinition> extends Manifest {
  /** Never set: carries the type. */
  readonly __definition?: D;
}

/**
 * Hooks are functions and have no place in JSON: they travel beside it, where another copy of this
 * package finds them too.
 */
const HOOKS = Symbol.for("pylon.hooks");
const AUTH_CODE = Symbol.for("pylon.auth");

/**
 * Builds the manifest of an app: the default export of `app.ts`.
 *
 * @throws Error for an invalid definition, with the remedy. Unknown keys stay in the manifest; the
 *   server lists them all.
 *
 * @example
 * const Todo = entity("Todo", { title: field.string(), ownerId: field.string().owner() });
 * export default buildManifest({
 *   name: "todos",
 *   version: "1.0.0",
 *   entities: [Todo],
 *   policies: [policy({ name: "own", entity: "Todo", allow: "auth.userId == data.ownerId" })],
 * });
 */
export function buildManifest<const D extends AppDefinition>(definition: D): App<D> {
  checkDefinition(definition);
  const {
    name,
    version,
    entities,
    routes = [],
    queries = [],
    actions = [],
    policies = [],
    auth: declaredAuth,
    plugins = [],
    crons,
    queues,
    rooms,
    access,
    peerMessages,
    ...rest
  } = definition;
  const { hooks: authHooks = {}, mails = {}, ...auth } = declaredAuth ?? {};
  const manifest: App<D> = {
    ...unknownKeys(rest),
    manifest_version: MANIFEST_VERSION,
    name,
    version,
    entities: [...entities, ...plugins.flatMap((plugin) => plugin.entities ?? [])],
    routes,
    queries,
    actions,
    policies,
    ...(declaredAuth === undefined ? {} : { auth }),
    ...(plugins.length === 0 ? {} : { plugins: plugins.map(toManifestPlugin) }),
    ...(crons === undefined ? {} : { crons }),
    ...(queues === undefined ? {} : { queues }),
    ...(rooms === undefined ? {} : { rooms }),
    ...(access === undefined ? {} : { access }),
    ...(peerMessages === undefined ? {} : { peerMessages }),
  };
  const hooks = plugins.map((plugin) => plugin.hooks).filter((entry) => entry !== undefined);
  Object.defineProperty(manifest, HOOKS, { value: hooks });
  const authCode: AuthCode = { hooks: authHooks, mails };
  Object.defineProperty(manifest, AUTH_CODE, { value: authCode });
  return manifest;
}

const ENTITY_HOOKS: readonly (keyof EntityHooks)[] = [
  "beforeInsert",
  "afterInsert",
  "beforeUpdate",
  "afterUpdate",
  "beforeDelete",
  "afterDelete",
];
const AUTH_HOOKS: readonly (keyof AuthHooks)[] = ["onSignUp", "onSignIn", "claims"];
const MAIL_KINDS: readonly MailKind[] = [
  "sign-in-code",
  "magic-link",
  "verify-email",
  "reset-password",
  "change-email",
  "email-taken",
  "invitation",
  "security-notice",
];

/** What would fail with a text of the inside, or be dropped with the functions in it. */
function checkDefinition(definition: unknown): void {
  const example = 'buildManifest({ name: "todos", version: "1.0.0", entities: [Todo] })';
  if (!isObject(definition))
    throw new Error(`buildManifest was given ${shown(definition)}: write ${example}.`);
  const { entities, plugins, crons, rooms, auth } = definition;
  if (entities === undefined)
    throw new Error(`buildManifest was given no entities: write ${example}.`);
  checkList(entities, "entities of buildManifest", "entities: [Todo]");
  checkList(plugins, "plugins of buildManifest", "plugins: [myPlugin]");
  checkList(
    crons,
    "crons of buildManifest",
    'crons: [{ name: "digest", schedule: "0 8 * * *", function: "sendDigest" }]',
  );
  checkList(
    rooms,
    "rooms of buildManifest",
    'rooms: [{ name: "lobby", allow: "auth.userId != null" }]',
  );
  for (const [index, plugin] of Array.isArray(plugins) ? plugins.entries() : []) {
    if (!isObject(plugin))
      throw new Error(
        `plugins[${index}] is ${shown(plugin)}: write definePlugin({ name: "..." }).`,
      );
    const { name, hooks, entities: own } = plugin;
    checkFunctions(hooks, `hooks of the plugin ${shown(name)}`, ENTITY_HOOKS);
    checkList(own, `entities of the plugin ${shown(name)}`, "entities: [Todo]");
  }
  if (auth === undefined) return;
  if (!isObject(auth) || Array.isArray(auth))
    throw new Error(
      `auth of buildManifest is ${shown(auth)}: write auth({ ... }), or leave it out.`,
    );
  const { hooks, mails } = auth;
  checkFunctions(hooks, "hooks of auth()", AUTH_HOOKS);
  checkFunctions(mails, "mails of auth()", MAIL_KINDS);
}

function toManifestPlugin({ name, config, hooks, entities, ...rest }: Plugin): ManifestPlugin {
  return {
    ...unknownKeys(rest),
    name,
    ...(hooks === undefined && entities === undefined ? {} : { custom: true }),
    ...(config === undefined ? {} : { config }),
  };
}

/**
 * The plugins' hooks of a manifest that `buildManifest` built in this process, in the order of the
 * plugins. For tools that run an app, such as the server.
 *
 * @example
 * const hooks = hooksOf(buildManifest({ name: "todos", version: "1.0.0", entities: [] }));
 */
export function hooksOf(manifest: unknown): readonly EntityHooks[] {
  return hasHooks(manifest) ? manifest[HOOKS] : [];
}

/**
 * The code that `auth()` was given, of a manifest that `buildManifest` built in this process. For
 * tools that run an app, such as the server.
 *
 * @example
 * const { hooks } = authCodeOf(buildManifest({ name: "todos", version: "1.0.0", entities: [] }));
 */
export function authCodeOf(manifest: unknown): AuthCode {
  return hasAuthCode(manifest) ? manifest[AUTH_CODE] : { hooks: {}, mails: {} };
}

function hasHooks(manifest: unknown): manifest is { readonly [HOOKS]: readonly EntityHooks[] } {
  return isObject(manifest) && HOOKS in manifest;
}

function hasAuthCode(manifest: unknown): manifest is { readonly [AUTH_CODE]: AuthCode } {
  return isObject(manifest) && AUTH_CODE in manifest;
}
