/**
 * One predicate tree for filters and policies: parse, check against a schema, evaluate. No I/O.
 *
 * @module
 */
export { bind } from "./bind.ts";
export { caseVariants } from "./case-fold.ts";
export { and, conjuncts, isFalse, isTrue, literal, not, or, path } from "./build.ts";
export { checkPolicy, type PolicyProblem, type PolicyScope } from "./check-policy.ts";
export { columnKind } from "./column-kind.ts";
export { compareValues, rowComparator, sortRows } from "./compare.ts";
export { normaliseDates } from "./date-literals.ts";
export { QueryError, QuerySyntaxError } from "./errors.ts";
export { compilePredicate, textTest } from "./evaluate.ts";
export * from "./expr.ts";
export * from "./limits.ts";
export {
  parseFilter,
  type FilterOptions,
  type ParsedFilter,
  type Relation,
  type Relations,
} from "./parse-filter.ts";
export { parseOrder } from "./parse-order.ts";
export { parsePolicy } from "./parse-policy.ts";
export { nearest } from "./nearest.ts";
export {
  isStorable,
  normaliseDatetime,
  normaliseValue,
  WANTED,
  describeValue,
} from "./value-kind.ts";
export { childrenOf, hasExists, mapChildren, nodesOf, pathsOf } from "./walk.ts";
