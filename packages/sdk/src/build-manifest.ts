import type { AuthCode, AuthDefinition } from "./auth.ts";
import type { Entity } from "./entity.ts";
import {
  MANIFEST_VERSION,
  type Manifest,
  type ManifestCall,
  type ManifestPlugin,
  type ManifestPolicy,
  type ManifestRoute,
} from "./manifest.ts";
import type { EntityHooks, Plugin } from "./plugin.ts";

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
 * Makes the manifest of an app.
 *
 * @example export default buildManifest({ name: "todos", version: "1.0.0", entities: [Todo],
 *   policies: [own] });
 */
export function buildManifest<const D extends AppDefinition>(definition: D): App<D> {
  const { plugins = [], access, peerMessages } = definition;
  const { hooks: authHooks = {}, mails = {}, ...auth } = definition.auth ?? {};
  const manifest: App<D> = {
    manifest_version: MANIFEST_VERSION,
    name: definition.name,
    version: definition.version,
    entities: [...definition.entities, ...plugins.flatMap((plugin) => plugin.entities ?? [])],
    routes: definition.routes ?? [],
    queries: definition.queries ?? [],
    actions: definition.actions ?? [],
    policies: definition.policies ?? [],
    ...(definition.auth === undefined ? {} : { auth }),
    ...(plugins.length === 0 ? {} : { plugins: plugins.map(toManifestPlugin) }),
    ...(access === undefined ? {} : { access }),
    ...(peerMessages === undefined ? {} : { peerMessages }),
  };
  const hooks = plugins.map((plugin) => plugin.hooks).filter((entry) => entry !== undefined);
  Object.defineProperty(manifest, HOOKS, { value: hooks });
  const authCode: AuthCode = { hooks: authHooks, mails };
  Object.defineProperty(manifest, AUTH_CODE, { value: authCode });
  return manifest;
}

function toManifestPlugin({ name, config, hooks, entities }: Plugin): ManifestPlugin {
  return {
    name,
    ...(hooks === undefined && entities === undefined ? {} : { custom: true }),
    ...(config === undefined ? {} : { config }),
  };
}

/**
 * The hooks of a manifest that `buildManifest` made in this process, in the order of its plugins.
 */
export function hooksOf(manifest: unknown): readonly EntityHooks[] {
  if (typeof manifest !== "object" || manifest === null) return [];
  return (manifest as { readonly [HOOKS]?: readonly EntityHooks[] })[HOOKS] ?? [];
}

/** The code that `auth()` was given, of a manifest that `buildManifest` made in this process. */
export function authCodeOf(manifest: unknown): AuthCode {
  const none: AuthCode = { hooks: {}, mails: {} };
  if (typeof manifest !== "object" || manifest === null) return none;
  return (manifest as { readonly [AUTH_CODE]?: AuthCode })[AUTH_CODE] ?? none;
}
