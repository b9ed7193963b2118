/**
 * Declare a Pylon app: entities, fields, policies, plugins.
 *
 * @module
 */
export * from "./auth.ts";
export * from "./build-manifest.ts";
export * from "./compat-types.ts";
export * from "./declare.ts";
export {
  entity,
  type ClientFilterOf,
  type ClientRowOf,
  type Entity,
  type EntityOptions,
  type FilterOf,
  type InsertOf,
  type PatchOf,
  type RowOf,
} from "./entity.ts";
export {
  Field,
  field,
  type BytesOptions,
  type FileOptions,
  type ReferenceOptions,
} from "./field.ts";
export * from "./mail.ts";
export * from "./manifest.ts";
export * from "./plugin.ts";
export * from "./register.ts";
