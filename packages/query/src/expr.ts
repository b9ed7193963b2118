/**
 * The predicate tree: one form for filters (`{done: false}`) and policies (`auth.userId ==
 * data.ownerId`).
 *
 * Truth is two-valued. A comparison with null is false, except with the literal `null`, which asks
 * whether the other side is null. `!=` is the opposite of `==`, so `data.status != "archived"`
 * holds for a row without a status. Values of unlike types are never equal and never ordered. The
 * JS evaluator and the SQL compiler both keep these rules.
 *
 * @module
 */

/** A value in the tree: what a field can hold. */
export type Scalar = string | number | boolean | null;

/**
 * Where a path starts.
 * - `data`: the row in question (for an update: as it would become)
 * - `old`: the row before the update
 * - `auth`: the caller
 * - `input`: the input of an action
 * - `room`: the parts of a room's name
 * - `related`: the row of the entity that the innermost `exists` looks at
 */
export type Root = "data" | "old" | "auth" | "input" | "room" | "related";

/** The kinds whose values are written in several forms and stored in one. */
export type WrittenForm = "datetime" | "decimal";

/** How two values are compared; `!=` is the opposite of `==`. */
export type CompareOp = "==" | "!=" | "<" | "<=" | ">" | ">=";

interface Node {
  /** Offset in the policy's source text, for messages. Absent for a filter. */
  readonly at?: number | undefined;
}

/** A value that was written. The literal `null` asks for what has no value. */
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
 * The value of a field: `data.ownerId`. Null where the row or the field is not there. A claim of
 * the caller is the path `claims.plan` of `auth`.
 */
export interface PathExpr extends Node {
  readonly kind: "path";
  readonly root: Root;
  readonly name: string;
  /**
   * Of a value that is not a row's, such as a claim: it is compared with fields of this kind, so it
   * is read in the form in which they store theirs.
   */
  readonly as?: WrittenForm;
}
/**
 * The value of a field of the row that an outer `exists` looks at: `up` of them further out than
 * the innermost, from 1.
 */
export interface OuterExpr extends Node {
  readonly kind: "outer";
  readonly up: number;
  readonly name: string;
}
/**
 * A value inside of a json: that of `steps`, each the key of an object. Null where there is none;
 * a list has no keys. It is of any type, so it meets only what has its type.
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
/** `left op right`. A comparison with a value that turns out null is false, but for `!=`. */
export interface CompareExpr extends Node {
  readonly kind: "compare";
  readonly op: CompareOp;
  readonly left: Expr;
  readonly right: Expr;
  /** Both are decimals, which are texts and ordered by size. */
  readonly isDecimal?: true;
}
/** `item` is one of `list`. `list` is a ListExpr or a path to a list (`auth.roles`). */
export interface InExpr extends Node {
  readonly kind: "in";
  readonly item: Expr;
  readonly list: Expr;
}
/** `text` contains `part`, letter by letter, case-sensitive. */
export interface ContainsExpr extends Node {
  readonly kind: "contains";
  readonly text: Expr;
  readonly part: Expr;
}
/** `text` begins with `prefix`, letter by letter, case-sensitive. */
export interface StartsWithExpr extends Node {
  readonly kind: "startsWith";
  readonly text: Expr;
  readonly prefix: Expr;
}
/** `text` ends with `suffix`, letter by letter, case-sensitive. */
export interface EndsWithExpr extends Node {
  readonly kind: "endsWith";
  readonly text: Expr;
  readonly suffix: Expr;
}
/**
 * `text` contains `part`, letter by letter, regardless of case as `foldCase` says. The part is
 * written: databases are asked by a pattern that is made of it.
 */
export interface ContainsFoldedExpr extends Node {
  readonly kind: "containsFolded";
  readonly text: Expr;
  readonly part: string;
}
/** `list` is a list that has one of `items` as an item. What is not a list has none. */
export interface HasExpr extends Node {
  readonly kind: "has";
  readonly list: Expr;
  readonly items: readonly Exclude<Scalar, null>[];
}
/** All items hold; of no items: true. */
export interface AndExpr extends Node {
  readonly kind: "and";
  readonly items: readonly Expr[];
}
/** One of the items holds; of no items: false. */
export interface OrExpr extends Node {
  readonly kind: "or";
  readonly items: readonly Expr[];
}
/** The item does not hold. Truth has two values, so one of the two always does. */
export interface NotExpr extends Node {
  readonly kind: "not";
  readonly item: Expr;
}
/** There is a row of `entity` for which `where` holds; in there, `related` is that row. */
export interface ExistsExpr extends Node {
  readonly kind: "exists";
  readonly entity: string;
  readonly where: Expr;
}

/**
 * There is a row of `entity` whose `field` is `key`, and for which `where` holds; in there, `data`
 * is that row, so that it can hold the row's own read policy. What a filter over related rows asks.
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
  /** The field is a decimal, which is a text and ordered by size. */
  readonly isDecimal?: true;
}

const SCALAR_KINDS = [
  "string",
  "int",
  "float",
  "decimal",
  "bool",
  "datetime",
  "richtext",
  "id",
] as const;
/** Kinds of several values in one, which as a whole are compared with nothing but null. */
const NESTED_KINDS = ["json", "array"] as const;
const FIELD_KINDS = [...SCALAR_KINDS, ...NESTED_KINDS] as const;
/** What the tree needs to know of a field. */
export type FieldKind = (typeof FIELD_KINDS)[number];
/** The kinds whose values are compared and have an order. */
export type ScalarKind = (typeof SCALAR_KINDS)[number];

/** Whether values of the kind are compared and have an order. */
export function isScalarKind(kind: FieldKind): kind is ScalarKind {
  return SCALAR_KINDS.some((name) => name === kind);
}

/** Whether the name stands for a kind of field that this version knows. */
export function isFieldKind(name: string): name is FieldKind {
  return FIELD_KINDS.some((kind) => kind === name);
}

/** What the tree needs to know of an entity. */
export interface EntityShape {
  readonly name: string;
  /** Includes `id`. */
  readonly fields: ReadonlyMap<string, FieldKind>;
  /** Why a field that is not among them can't be asked by, where there is something to say. */
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
  /** What the app says of the user: `auth.claims.plan`. */
  readonly claims: Claims;
};

/** A value of a claim. */
export type ClaimValue = string | number | boolean | readonly (string | number | boolean)[];

/** What an app says of a user beside roles, by name. */
export type Claims = Readonly<Record<string, ClaimValue>>;

/** The fields of a row or of an input, by their names. */
export type Values = Readonly<Record<string, unknown>>;

/** What an expression is evaluated against. A root that is absent has only nulls. */
export interface Env {
  readonly data?: Values | undefined;
  readonly old?: Values | undefined;
  readonly input?: Values | undefined;
  readonly room?: Values | undefined;
  readonly related?: Values | undefined;
  /** The rows of the `exists` around the innermost one, from inside; undefined: not known. */
  readonly enclosing?: readonly (Values | undefined)[] | undefined;
  readonly auth?: AuthValues | undefined;
  /** ISO 8601 with milliseconds and Z. */
  readonly now?: string | undefined;
}

/** Holds for every row. */
export const TRUE: LiteralExpr = Object.freeze({ kind: "literal", value: true });
/** Holds for no row. */
export const FALSE: LiteralExpr = Object.freeze({ kind: "literal", value: false });
