import type { AuthDefinition } from "./auth.ts";
import type { AppDefinition } from "./build-manifest.ts";
import type { Entity } from "./entity.ts";
import type {
  CrdtKind,
  Manifest,
  ManifestAuth,
  ManifestCall,
  ManifestEntity,
  ManifestField,
  ManifestFieldType,
  ManifestIndex,
  ManifestInput,
  ManifestPolicy,
  ManifestRelation,
  ManifestRoute,
  ManifestSearch,
} from "./manifest.ts";
import type { Plugin } from "./plugin.ts";

// Types that apps of the public system import, under their names there.

/** @deprecated Use `Manifest`. */
export type AppManifest = Manifest;
/** @deprecated Use `AuthDefinition`. */
export type AuthConfig = AuthDefinition;
/** Who may see a page. */
export type AuthMode = NonNullable<ManifestRoute["auth"]>;
/** @deprecated Use `CrdtKind`. */
export type CrdtAnnotation = CrdtKind;
/** @deprecated Use `Entity`. */
export type EntityDefinition = Entity;
/** @deprecated Use `ManifestField`. */
export type FieldDefinition = ManifestField;
/** @deprecated Use `ManifestFieldType`. */
export type FieldType = ManifestFieldType;
/** @deprecated Use `ManifestIndex`. */
export type IndexDefinition = ManifestIndex;
/** @deprecated Use `ManifestRelation`. */
export type RelationDefinition = ManifestRelation;
/** @deprecated Use `Partial<ManifestSearch>`. */
export type SearchConfig = Partial<ManifestSearch>;
/** @deprecated Use `ManifestRoute`. */
export type RouteDefinition = ManifestRoute;
/** How a page is made. */
export type RouteMode = ManifestRoute["mode"];
/** @deprecated Use `ManifestCall`. */
export type QueryDefinition = ManifestCall;
/** @deprecated Use `ManifestCall`. */
export type ActionDefinition = ManifestCall;
/** @deprecated Use `ManifestInput`. */
export type InputFieldDefinition = ManifestInput;
/** @deprecated Use `ManifestPolicy`. */
export type PolicyDefinition = ManifestPolicy;
/** @deprecated Use `Plugin`. */
export type PluginDefinition = Plugin;
/** @deprecated Use `ManifestCall`. */
export type ManifestQuery = ManifestCall;
/** @deprecated Use `ManifestCall`. */
export type ManifestAction = ManifestCall;
/** @deprecated Use `ManifestInput`. */
export type ManifestInputField = ManifestInput;
/** @deprecated Use `ManifestAuth`. */
export type ManifestAuthConfig = ManifestAuth;

type Part<K extends "routes" | "queries" | "actions" | "policies"> = NonNullable<AppDefinition[K]>;

/**
 * The part of a manifest that entities are. `buildManifest` makes the whole.
 *
 * @example
 * const Todo = entity("Todo", { title: field.string() });
 * console.log(entitiesToManifest([Todo]).map(({ name }) => name));
 */
export function entitiesToManifest(entities: readonly Entity[]): readonly ManifestEntity[] {
  return plain(entities);
}

/**
 * The part of a manifest that routes are.
 *
 * @example
 * console.log(routesToManifest([defineRoute({ path: "/", mode: "live" })]));
 */
export function routesToManifest(routes: Part<"routes">): readonly ManifestRoute[] {
  return plain(routes);
}

/**
 * The part of a manifest that declared queries are.
 *
 * @example
 * console.log(queriesToManifest([query("openTodos")]));
 */
export function queriesToManifest(queries: Part<"queries">): readonly ManifestCall[] {
  return plain(queries);
}

/**
 * The part of a manifest that declared actions are.
 *
 * @example
 * console.log(actionsToManifest([action("sendDigest")]));
 */
export function actionsToManifest(actions: Part<"actions">): readonly ManifestCall[] {
  return plain(actions);
}

/**
 * The part of a manifest that policies are.
 *
 * @example
 * console.log(policiesToManifest([policy({ name: "all", entity: "Todo", allow: "true" })]));
 */
export function policiesToManifest(policies: Part<"policies">): readonly ManifestPolicy[] {
  return plain(policies);
}

/** As it stands in a file: what is declared is plain JSON already, and stays the caller's own. */
function plain<T>(part: readonly T[]): readonly T[] {
  return structuredClone([...part]);
}
