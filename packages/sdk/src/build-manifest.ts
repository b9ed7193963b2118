import { AUTH_HOOKS, applyPlugins, checkPlugin, toManifestPlugin } from "./apply-plugins.ts";
import type { AuthCode, AuthDefinition } from "./auth.ts";
import { withStamps, type Entity } from "./entity.ts";
import { withCheckedReference } from "./field.ts";
import type { MailKind } from "./mail.ts";
import {
  MANIFEST_VERSION,
  type Manifest,
  type ManifestCall,
  type ManifestCron,
  type ManifestEntity,
  type ManifestPolicy,
  type ManifestQueue,
  type ManifestRoom,
  type ManifestRoute,
} from "./manifest.ts";
import { checkPlaces } from "./misplaced.ts";
import { checkFunctions, checkList, isObject, shown, unknownKeys } from "./mistake.ts";
import type { EntityHooks, Plugin, PluginFunction } from "./plugin.ts";

/** The options of `buildManifest`. */
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
   * True: every entity gets `createdAt` and `updatedAt`, which only the server writes, except
   * entities with `timestamps: false`. Entities of plugins are not affected.
   */
  readonly timestamps?: boolean;
  /**
   * `"checked"`: every `field.id` always refers to an existing row, which can't be deleted as long
   * as it is referred to, unless the field has another `onDelete`. `field.id("User", { checked:
   * false })` exempts a field. Entities of plugins are not affected.
   */
  readonly references?: "checked";
  /**
   * Functions that are called on a schedule, such as
   * `{ name: "digest", schedule: "0 8 * * *", function: "sendDigest" }`.
   */
  readonly crons?: readonly ManifestCron[];
  /**
   * Limits for job queues, enforced across all replicas, such as
   * `{ mail: { concurrency: 5, rate: { max: 100, perSeconds: 60 } } }`.
   */
  readonly queues?: Readonly<Record<string, ManifestQueue>>;
  /**
   * Permissions for rooms, such as `{ name: "channel/:channelId", allow: "exists(Member, channelId
   * == room.channelId && userId == auth.userId)" }`. If this is set, rooms that match no entry are
   * closed outside dev mode. Without it, any signed-in user who knows a room's name may join it.
   */
  readonly rooms?: readonly ManifestRoom[];
  /**
   * `"public"`: entities without a policy are open to everyone. By default they are closed outside
   * dev mode.
   */
  readonly access?: "public";
  /**
   * Receivers of presence and topic messages that are sent without a room. `"tenant"`: all users in
   * the sender's tenant. Default: users who share a room with the sender.
   */
  readonly peerMessages?: "tenant";
}

/** A manifest with the types of its entities. */
export interface App<D extends AppDefinition = AppDefinition> extends Manifest {
  /** Never set at runtime; carries the type. */
  readonly __definition?: D;
}

/**
 * Hooks are functions, which JSON can't represent. They are attached under a global symbol, so that
 * another copy of this package can read them.
 */
const HOOKS = Symbol.for("pylon.hooks");
const AUTH_CODE = Symbol.for("pylon.auth");
const FUNCTIONS = Symbol.for("pylon.plugin-functions");

/**
 * Builds the manifest of an app: the default export of `app.ts`.
 *
 * @throws Error for an invalid definition; the message says how to fix it. Unknown keys stay in the
 *   manifest, and the server reports all of them.
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
    timestamps = false,
    references,
    crons,
    queues,
    rooms,
    access,
    peerMessages,
    ...rest
  } = definition;
  const { hooks: authHooks = {}, mails = {}, ...auth } = declaredAuth ?? {};
  const stamped = timestamps ? entities.map(withStamps) : entities;
  const whole = applyPlugins(
    {
      entities: references === undefined ? stamped : stamped.map(withCheckedReferences),
      policies,
      crons,
      queues,
      auth: authHooks,
    },
    plugins,
  );
  const manifest: App<D> = {
    ...unknownKeys(rest),
    manifest_version: MANIFEST_VERSION,
    name,
    version,
    entities: whole.entities,
    routes,
    queries,
    actions,
    policies: whole.policies,
    ...(declaredAuth === undefined ? {} : { auth }),
    ...(plugins.length === 0 ? {} : { plugins: plugins.map(toManifestPlugin) }),
    ...(whole.crons === undefined ? {} : { crons: whole.crons }),
    ...(whole.queues === undefined ? {} : { queues: whole.queues }),
    ...(rooms === undefined ? {} : { rooms }),
    ...(access === undefined ? {} : { access }),
    ...(peerMessages === undefined ? {} : { peerMessages }),
  };
  Object.defineProperty(manifest, HOOKS, { value: whole.hooks });
  Object.defineProperty(manifest, FUNCTIONS, { value: whole.functions });
  const authCode: AuthCode = { hooks: whole.auth, mails };
  Object.defineProperty(manifest, AUTH_CODE, { value: authCode });
  return manifest;
}

function withCheckedReferences<E extends ManifestEntity>(entity: E): E {
  return { ...entity, fields: entity.fields.map(withCheckedReference) };
}

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

/** Rejects values that would cause an obscure internal error, or would be silently dropped. */
function checkDefinition(definition: unknown): void {
  const example = 'buildManifest({ name: "todos", version: "1.0.0", entities: [Todo] })';
  if (!isObject(definition))
    throw new Error(`buildManifest received ${shown(definition)}: write ${example}.`);
  checkPlaces(definition);
  const { entities, plugins, crons, rooms, auth, timestamps, references } = definition;
  if (references !== undefined && references !== "checked")
    throw new Error(
      `references of buildManifest is ${shown(references)}: write references: "checked".`,
    );
  if (timestamps !== undefined && typeof timestamps !== "boolean")
    throw new Error(`timestamps of buildManifest is ${shown(timestamps)}: write timestamps: true.`);
  if (entities === undefined)
    throw new Error(`buildManifest received no entities: write ${example}.`);
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
  for (const [index, plugin] of Array.isArray(plugins) ? plugins.entries() : [])
    checkPlugin(plugin, index);
  if (auth === undefined) return;
  if (!isObject(auth) || Array.isArray(auth))
    throw new Error(
      `auth of buildManifest is ${shown(auth)}: write auth({ ... }), or leave it out.`,
    );
  const { hooks, mails } = auth;
  checkFunctions(hooks, "hooks of auth()", AUTH_HOOKS);
  checkFunctions(mails, "mails of auth()", MAIL_KINDS);
}

/**
 * Returns the plugins' hooks of a manifest that `buildManifest` built in this process, in the order
 * of the plugins. For tools that run an app, such as the server.
 *
 * @example
 * const hooks = hooksOf(buildManifest({ name: "todos", version: "1.0.0", entities: [] }));
 */
export function hooksOf(manifest: unknown): readonly EntityHooks[] {
  return hasHooks(manifest) ? manifest[HOOKS] : [];
}

/**
 * Returns the functions of plugins, by name, of a manifest that `buildManifest` built in this
 * process. For tools that run an app, such as the server.
 *
 * @example
 * const app = buildManifest({ name: "todos", version: "1.0.0", entities: [] });
 * const functions = pluginFunctionsOf(app);
 */
export function pluginFunctionsOf(manifest: unknown): Readonly<Record<string, PluginFunction>> {
  return hasFunctions(manifest) ? manifest[FUNCTIONS] : {};
}

/**
 * Returns the code passed to `auth()`, combined with that of plugins, of a manifest that
 * `buildManifest` built in this process. For tools that run an app, such as the server.
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

function hasFunctions(
  manifest: unknown,
): manifest is { readonly [FUNCTIONS]: Readonly<Record<string, PluginFunction>> } {
  return isObject(manifest) && FUNCTIONS in manifest;
}

function hasAuthCode(manifest: unknown): manifest is { readonly [AUTH_CODE]: AuthCode } {
  return isObject(manifest) && AUTH_CODE in manifest;
}
