/**
 * Declares a Pylon app: entities, fields, policies, plugins.
 *
 * @module
 */
export type { AggregateOptions, AggregateResult } from "./aggregate.ts";
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
  type DefaultedTraits,
  type FieldTraits,
  type FileOptions,
  type OptionalTraits,
  type PlainTraits,
  type ReferenceOptions,
  type TimestampFields,
} from "./field.ts";
export {
  dataMigration,
  isDataMigration,
  type DataMigration,
  type DataMigrationContext,
  type RowMigration,
  type WholeMigration,
} from "./data-migration.ts";
export {
  fieldCodeOf,
  withFieldCode,
  type DefaultContext,
  type FieldCode,
  type StoredFields,
} from "./field-code.ts";
export { HTML, isHtml } from "./html-mark.ts";
export type {
  CallArgs,
  EntityFilter,
  EntityQueryOptions,
  IncludingOptions,
  NameFor,
} from "./client-types.ts";
export type { Included, IncludeOf, OnlyRelations } from "./include.ts";
export * from "./mail.ts";
export * from "./manifest.ts";
export * from "./plugin.ts";
export {
  policy,
  type FieldPolicyDefinition,
  type PolicyOptions,
  type Rule,
} from "./policy/policy.ts";
export type { AuthTerms, CallerParts, RuleParts, UpdateParts } from "./policy/rule.ts";
export type { Condition, Operand, Term } from "./policy/term.ts";
export * from "./register.ts";
export { type SearchFields, type SearchOptions } from "./search.ts";
