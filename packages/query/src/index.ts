/**
 * One predicate tree for filters and policies: parse, check against a schema, evaluate. No I/O.
 *
 * @module
 */
export { dateText, describeValue } from "./any-value.ts";
export { bind } from "./bind.ts";
export { caseVariants } from "./case-fold.ts";
export { and, conjuncts, isFalse, isTrue, literal, not, or, path } from "./build.ts";
export { checkPolicy, type PolicyProblem, type PolicyScope } from "./check-policy.ts";
export { columnKind } from "./column-kind.ts";
export { compareValues, rowComparator, sortRows } from "./compare.ts";
export { normaliseLiterals } from "./policy-literals.ts";
export { compareDecimals } from "./compare-decimals.ts";
export { normaliseDatetime } from "./datetime.ts";
export { addDecimals, MAX_DECIMAL_SCALE, MAX_DECIMAL_WHOLE, normaliseDecimal } from "./decimal.ts";
export { invalidQuery, QueryError, QuerySyntaxError } from "./errors.ts";
export { compilePredicate } from "./compile-predicate.ts";
export { compileFilter, fieldValue, textTest } from "./evaluate.ts";
export * from "./expr.ts";
export * from "./field-kinds.ts";
export {
  applyFieldOperator,
  fieldOperatorHint,
  fieldOperatorOf,
  type Append,
  type FieldOperator,
  type Increment,
} from "./field-operator.ts";
export { applyPlainOperator, plainOperatorOf, type PlainOperator } from "./plain-operator.ts";
export * from "./limits.ts";
export { parseFilter, type FilterOptions } from "./parse-filter.ts";
export type { Relation, Relations } from "./related-names.ts";
export { relatedEntities } from "./related-entities.ts";
export type { ParsedFilter } from "./filter-parser.ts";
export { parseLocalFilter } from "./parse-local-filter.ts";
export { isRelatedFilter, parseUnknownFilter } from "./parse-unknown-filter.ts";
export { parseOrder } from "./parse-order.ts";
export { parsePolicy } from "./parse-policy.ts";
export { nearest } from "./nearest.ts";
export { isStorable, normaliseValue, WANTED } from "./value-kind.ts";
export { childrenOf, hasExists, mapChildren, namesOuter, nodesOf, pathsOf } from "./walk.ts";
