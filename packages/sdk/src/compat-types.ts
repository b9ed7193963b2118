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
} from "./manifest.ts";
import type { Plugin } from "./plugin.ts";
import type { SearchOptions } from "./search.ts";

// Types that apps of the public system import, under the names they have there.

/** @deprecated Use `Manifest`. */
export type AppManifest = Manifest;
/** @deprecated Use `AuthDefinition`. */
export type AuthConfig = AuthDefinition;
/** The access level of a page. */
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
/** @deprecated Use `SearchOptions`. */
export type SearchConfig = SearchOptions;
/** @deprecated Use `ManifestRoute`. */
export type RouteDefinition = ManifestRoute;
/** The rendering mode of a page. */
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
 * Returns the entities part of a manifest. `buildManifest` builds the whole manifest.
 *
 * @example
 * const Todo = entity("Todo", { title: field.string() });
 * console.log(entitiesToManifest([Todo]).map(({ name }) => name));
 */
export function entitiesToManifest(entities: readonly Entity[]): readonly ManifestEntity[] {
  return plain(entities);
}

/**
 * Returns the routes part of a manifest.
 *
 * @example
 * console.log(routesToManifest([defineRoute({ path: "/", mode: "live" })]));
 */
export function routesToManifest(routes: Part<"routes">): readonly ManifestRoute[] {
  return plain(routes);
}

/**
 * Returns the declared queries of a manifest.
 *
 * @example
 * console.log(queriesToManifest([query("openTodos")]));
 */
export function queriesToManifest(queries: Part<"queries">): readonly ManifestCall[] {
  return plain(queries);
}

/**
 * Returns the declared actions of a manifest.
 *
 * @example
 * console.log(actionsToManifest([action("sendDigest")]));
 */
export function actionsToManifest(actions: Part<"actions">): readonly ManifestCall[] {
  return plain(actions);
}

/**
 * Returns the policies part of a manifest.
 *
 * @example
 * console.log(policiesToManifest([policy({ name: "all", entity: "Todo", allow: "true" })]));
 */
export function policiesToManifest(policies: Part<"policies">): readonly ManifestPolicy[] {
  return plain(policies);
}

/** Declarations are plain JSON already, so the objects are returned as they are. */
function plain<T>(part: readonly T[]): readonly T[] {
  return structuredClone([...part]);
}
