/**
 * The predicate tree: one form for filters (`{done: false}`) and policies (`auth.userId ==
 * data.ownerId`).
 *
 * Truth is two-valued. A comparison with null is false, except with the literal `null`, which tests
 * whether the other side is null. `!=` is the negation of `==`, so `data.status != "archived"` is
 * true for a row without a status. Values of different types are never equal and never ordered. The
 * JS evaluator and the SQL compiler both follow these rules.
 *
 * @module
 */

import type { FieldKind, ScalarKind } from "./field-kinds.ts";

/** A value in the tree: any value that a field can hold. */
export type Scalar = string | number | boolean | null;

/**
 * The start of a path.
 * - `data`: the row in question (for an update: the row after the change)
 * - `old`: the row before the update
 * - `auth`: the caller
 * - `input`: the input of an action
 * - `room`: the parts of a room's name
 * - `related`: the row of the entity of the innermost `exists`
 */
export type Root = "data" | "old" | "auth" | "input" | "room" | "related";

/** The kinds whose values can be written in several forms and are stored in one. */
export type WrittenForm = "datetime" | "decimal";

/** How two values are compared; `!=` is the negation of `==`. */
export type CompareOp = "==" | "!=" | "<" | "<=" | ">" | ">=";

interface Node {
  /** Offset in the policy's source text, for messages. Absent for a filter. */
  readonly at?: number | undefined;
}

/** A literal value. The literal `null` tests for the absence of a value. */
export interface LiteralExpr extends Node {
  readonly kind: "literal";
  readonly value: Scalar;
}
/** Several values, for `in`. */
export interface ListExpr extends Node {
  readonly kind: "list";
  readonly items: readonly Expr[];
}
/**
 * The value of a field: `data.ownerId`. Null if the row or the field does not exist. A claim of the
 * caller is the path `claims.plan` of `auth`.
 */
export interface PathExpr extends Node {
  readonly kind: "path";
  readonly root: Root;
  readonly name: string;
  /**
   * For a value that is not from a row, such as a claim: it is compared with fields of this kind,
   * so it is converted to the form in which they store their values.
   */
  readonly as?: WrittenForm;
}
/**
 * The value of a field of the row of an outer `exists`: `up` levels further out than the innermost,
 * from 1.
 */
export interface OuterExpr extends Node {
  readonly kind: "outer";
  readonly up: number;
  readonly name: string;
}
/**
 * A value inside JSON, reached by `steps`, each the key of an object. Null if there is none; a list
 * has no keys. It can be of any type, so it matches only values of its own type.
 */
export interface MemberExpr extends Node {
  readonly kind: "member";
  readonly of: Expr;
  readonly steps: readonly string[];
}
/** The time of the request, an ISO 8601 string with milliseconds and Z. */
export interface NowExpr extends Node {
  readonly kind: "now";
}
/** `left op right`. A comparison with a value that turns out to be null is false, except `!=`. */
export interface CompareExpr extends Node {
  readonly kind: "compare";
  readonly op: CompareOp;
  readonly left: Expr;
  readonly right: Expr;
  /** Whether both are decimals, which are texts and ordered by value. */
  readonly isDecimal?: true;
}
/** `item` is one of `list`. `list` is a ListExpr or a path to a list (`auth.roles`). */
export interface InExpr extends Node {
  readonly kind: "in";
  readonly item: Expr;
  readonly list: Expr;
}
/** `text` contains `part`, character by character, case-sensitive. */
export interface ContainsExpr extends Node {
  readonly kind: "contains";
  readonly text: Expr;
  readonly part: Expr;
}
/** `text` begins with `prefix`, character by character, case-sensitive. */
export interface StartsWithExpr extends Node {
  readonly kind: "startsWith";
  readonly text: Expr;
  readonly prefix: Expr;
}
/** `text` ends with `suffix`, character by character, case-sensitive. */
export interface EndsWithExpr extends Node {
  readonly kind: "endsWith";
  readonly text: Expr;
  readonly suffix: Expr;
}
/**
 * `text` contains `part`, character by character, ignoring case as `foldCase` does. The part is a
 * literal, because databases receive a pattern made from it.
 */
export interface ContainsFoldedExpr extends Node {
  readonly kind: "containsFolded";
  readonly text: Expr;
  readonly part: string;
}
/** `list` is a list that contains one of `items`. A value that is not a list contains none. */
export interface HasExpr extends Node {
  readonly kind: "has";
  readonly list: Expr;
  readonly items: readonly Exclude<Scalar, null>[];
}
/** All items are true; true if there are no items. */
export interface AndExpr extends Node {
  readonly kind: "and";
  readonly items: readonly Expr[];
}
/** One of the items is true; false if there are no items. */
export interface OrExpr extends Node {
  readonly kind: "or";
  readonly items: readonly Expr[];
}
/** The item is false. Truth is two-valued, so either the item or its negation is true. */
export interface NotExpr extends Node {
  readonly kind: "not";
  readonly item: Expr;
}
/** There is a row of `entity` for which `where` is true; inside, `related` is that row. */
export interface ExistsExpr extends Node {
  readonly kind: "exists";
  readonly entity: string;
  readonly where: Expr;
}

/**
 * There is a row of `entity` whose `field` equals `key`, and for which `where` is true; inside,
 * `data` is that row, so that `where` can contain the row's own read policy. The form of a filter
 * over related rows.
 */
export interface HasRelatedExpr extends Node {
  readonly kind: "hasRelated";
  readonly entity: string;
  readonly field: string;
  readonly key: Expr;
  readonly where: Expr;
}

/** The predicate tree. */
export type Expr =
  | LiteralExpr
  | ListExpr
  | PathExpr
  | OuterExpr
  | MemberExpr
  | NowExpr
  | CompareExpr
  | InExpr
  | ContainsExpr
  | StartsWithExpr
  | EndsWithExpr
  | ContainsFoldedExpr
  | HasExpr
  | AndExpr
  | OrExpr
  | NotExpr
  | ExistsExpr
  | HasRelatedExpr;

/**
 * One key of an order. Nulls come last in `asc`, first in `desc`; ties are broken by id, ascending.
 */
export interface Order {
  readonly field: string;
  readonly direction: "asc" | "desc";
  /** Whether the field is a decimal, which is a text and ordered by value. */
  readonly isDecimal?: true;
}

/** The part of an entity's declaration that the tree needs. */
export interface EntityShape {
  readonly name: string;
  /** Includes `id`. */
  readonly fields: ReadonlyMap<string, FieldKind>;
  /** The kinds of the items of array fields. Items of a field that is absent may be of any kind. */
  readonly items?: ReadonlyMap<string, ScalarKind>;
  /** The strings that are dates without a time, such as `2026-01-31`. */
  readonly dates?: ReadonlySet<string>;
  /** Returns why a field that is not among them can't be used, if there is a reason to give. */
  readonly hintFor?: (field: string) => string | undefined;
}
/** The entities by their names. */
export type SchemaShape = ReadonlyMap<string, EntityShape>;

/** The caller, as policies see it. Unknown names are null. */
export type AuthValues = {
  readonly userId: string | null;
  readonly isAdmin: boolean;
  readonly isGuest: boolean;
  readonly tenantId: string | null;
  readonly roles: readonly string[];
  readonly apiKeyId: string | null;
  readonly apiKeyScopes: readonly string[];
  readonly isTrustedDevice: boolean;
  /** The app's claims about the user: `auth.claims.plan`. */
  readonly claims: Claims;
};

/** A value of a claim. */
export type ClaimValue = string | number | boolean | readonly (string | number | boolean)[];

/** An app's claims about a user in addition to roles, by name. */
export type Claims = Readonly<Record<string, ClaimValue>>;

/** The fields of a row or of an input, by their names. */
export type Values = Readonly<Record<string, unknown>>;

/** The values with which an expression is evaluated. An absent root contains only nulls. */
export interface Env {
  readonly data?: Values | undefined;
  readonly old?: Values | undefined;
  readonly input?: Values | undefined;
  readonly room?: Values | undefined;
  readonly related?: Values | undefined;
  /** The rows of the enclosing `exists`, from the inside out; undefined: not known. */
  readonly enclosing?: readonly (Values | undefined)[] | undefined;
  readonly auth?: AuthValues | undefined;
  /** ISO 8601 with milliseconds and Z. */
  readonly now?: string | undefined;
}

/** True for every row. */
export const TRUE: LiteralExpr = Object.freeze({ kind: "literal", value: true });
/** True for no row. */
export const FALSE: LiteralExpr = Object.freeze({ kind: "literal", value: false });
