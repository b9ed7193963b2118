import fc from "fast-check";
import { ADMIN, ANONYMOUS, type Caller } from "../../identity/identity.ts";
import { anyRows, VALUES, type AnyApp, type AnyEntity, type AnyRows } from "./any-app.ts";
import { user } from "./app-data.ts";

/** A filter as a caller sends it. */
export type Filter = Readonly<Record<string, unknown>>;
/** An order as a caller sends it. */
export type Sorting = Readonly<Record<string, "asc" | "desc">>;

/** Includes of related rows, by relation. */
export type Includes = { readonly [relation: string]: Included | undefined };
/** The include of one relation. */
export interface Included {
  readonly where?: Filter;
  readonly order?: Sorting;
  readonly limit?: number;
  readonly include?: Includes;
}

/** A query of one entity, for all ways to read. */
export interface Question {
  readonly entity: string;
  /** Undefined: a server function, to which policies do not apply. */
  readonly caller: Caller | undefined;
  readonly where: Filter;
  readonly order: Sorting;
  /** The number of rows per page. */
  readonly size: number;
  readonly include: Includes;
  readonly groupBy: readonly (string | { readonly field: string; readonly bucket: Bucket })[];
  /** Groups of fewer rows are omitted. */
  readonly atLeast: number;
  /** The numeric fields that are aggregated. */
  readonly measured: readonly string[];
  readonly text: string | undefined;
  readonly facetFilter: { readonly b?: string; readonly n?: number };
}
/** A part of time by which rows are grouped. */
export type Bucket = "day" | "month" | "year";

/** Rows, and queries of them: each query is a case. */
export interface AnyCases {
  readonly rows: AnyRows;
  readonly questions: readonly Question[];
}

const CALLERS: readonly (Caller | undefined)[] = [
  user("ann"),
  user("bob"),
  ANONYMOUS,
  ADMIN,
  undefined,
];

/**
 * The fields of an entity that a caller may see and use in queries, according to docs/policies.md.
 */
export function fieldsFor(
  { closed, isOkHidden }: AnyEntity,
  caller: Caller | undefined,
): ReadonlySet<string> {
  const all = ["a", "b", "n", "f", "d", "at", "ok", "tags", "owner", "to", "via"];
  const fields = new Set(["id", ...all]);
  if (caller === undefined) return fields;
  if (isOkHidden) fields.delete("ok");
  if (closed === null || caller.isAdmin) return fields;
  const [field, rule] = closed;
  const isSignedIn = caller.userId !== null;
  const isOpen = rule === "auth.userId != null" ? isSignedIn : rule !== "false" && !isSignedIn;
  if (!isOpen) fields.delete(field);
  return fields;
}

const OPERATORS: readonly (readonly [string, fc.Arbitrary<Filter>])[] = [
  ["a", VALUES.a.map((a) => ({ a }))],
  ["a", fc.constantFrom("x", "é").map((part) => ({ a: { $like: part } }))],
  ["a", fc.constantFrom("X", "É").map((part) => ({ a: { $ilike: part } }))],
  ["b", fc.option(VALUES.b).map((b) => ({ b }))],
  ["b", VALUES.b.map((b) => ({ b: { $ne: b } }))],
  ["b", VALUES.b.map((b) => ({ b: { $endsWith: b } }))],
  ["n", fc.tuple(VALUES.n, VALUES.n).map((ends) => ({ n: { $between: ends } }))],
  ["n", fc.array(VALUES.n, { maxLength: 3 }).map((list) => ({ n: { $nin: list } }))],
  ["f", VALUES.f.map((f) => ({ f: { $gt: f } }))],
  ["d", VALUES.d.map((d) => ({ d: { $lte: d } }))],
  ["at", VALUES.at.map((at) => ({ at: { $lt: at } }))],
  ["ok", fc.option(VALUES.ok).map((ok) => ({ ok }))],
  ["tags", VALUES.tag.map((tag) => ({ tags: { $has: tag } }))],
  ["owner", VALUES.owner.map((owner) => ({ owner }))],
];

/** A filter that follows at most `depth` relations in a chain. */
function filterOf(
  app: AnyApp,
  owner: AnyEntity,
  caller: Caller | undefined,
  depth: number,
): fc.Arbitrary<Filter> {
  const fields = fieldsFor(owner, caller);
  const own = fc.oneof(
    ...OPERATORS.filter(([field]) => fields.has(field)).map(([, filter]) => filter),
  );
  if (depth === 0) return own;
  const related = fc.constantFrom(...owner.relations).chain(({ name, target }) => {
    const inner = filterOf(app, entityNamed(app, target), caller, depth - 1);
    return fc
      .oneof({ weight: 3, arbitrary: inner }, fc.constantFrom({}, null))
      .map((asked): Filter => ({ [name]: asked }));
  });
  const some = fc.oneof({ weight: 2, arbitrary: own }, { weight: 1, arbitrary: related });
  return fc.oneof(
    { weight: 3, arbitrary: some },
    { weight: 1, arbitrary: some.map((one): Filter => ({ $not: one })) },
    { weight: 1, arbitrary: fc.tuple(some, some).map((both): Filter => ({ $or: both })) },
    { weight: 1, arbitrary: fc.tuple(own, related).map((both): Filter => ({ $and: both })) },
  );
}

/** The entity of an app with this name. */
export function entityNamed(app: AnyApp, name: string): AnyEntity {
  const found = app.find((one) => one.name === name);
  if (found === undefined) throw new Error(name);
  return found;
}

function orderOf(fields: ReadonlySet<string>): fc.Arbitrary<Sorting> {
  const known = ["a", "b", "n", "f", "d", "at", "ok", "id"].filter((name) => fields.has(name));
  const key = fc.tuple(fc.constantFrom(...known), fc.constantFrom("asc" as const, "desc" as const));
  return fc
    .uniqueArray(key, { selector: ([name]) => name, maxLength: 2 })
    .map((keys) => Object.fromEntries(keys));
}

function includesOf(
  app: AnyApp,
  owner: AnyEntity,
  caller: Caller | undefined,
  depth: number,
): fc.Arbitrary<Includes> {
  const one = fc.constantFrom(...owner.relations).chain(({ name, target, kind }) => {
    const related = entityNamed(app, target);
    const asked: fc.Arbitrary<Included> = fc.record(
      {
        where: filterOf(app, related, caller, 1),
        order: orderOf(fieldsFor(related, caller)),
        ...(kind === "one" ? {} : { limit: fc.integer({ min: 1, max: 3 }) }),
        ...(depth === 0 ? {} : { include: includesOf(app, related, caller, depth - 1) }),
      },
      { requiredKeys: [] },
    );
    return asked.map((included): [string, Included] => [name, included]);
  });
  return fc.array(one, { maxLength: 2 }).map((all) => Object.fromEntries(all));
}

function questionOf(
  app: AnyApp,
  owner: AnyEntity,
  caller: Caller | undefined,
): fc.Arbitrary<Question> {
  const fields = fieldsFor(owner, caller);
  const groups = ["b", "n", "ok", "d"].filter((name) => fields.has(name));
  const toOne = owner.relations.filter(({ kind }) => kind === "one" && fields.has("to"));
  const related = toOne.flatMap(({ name, target }) => {
    const known = fieldsFor(entityNamed(app, target), caller);
    return ["b", "n", "ok", "d", "at"]
      .filter((field) => known.has(field))
      .map((field) => `${name}.${field}`);
  });
  const buckets = fields.has("at")
    ? [fc.record({ field: fc.constant("at"), bucket: fc.constantFrom<Bucket[]>("day", "month") })]
    : [];
  return fc.record({
    entity: fc.constant(owner.name),
    caller: fc.constant(caller),
    where: fc.oneof(fc.constant({}), filterOf(app, owner, caller, 2)),
    // The cursor of a page can be read, so pages are not ordered by hidden fields.
    order: orderOf(fieldsFor(owner, caller ?? ADMIN)),
    size: fc.integer({ min: 1, max: 4 }),
    include: includesOf(app, owner, caller, 1),
    groupBy: fc.uniqueArray(fc.oneof(fc.constantFrom(...groups, ...related), ...buckets), {
      maxLength: 2,
      selector: (item) => (typeof item === "string" ? item : item.field),
    }),
    atLeast: fc.constantFrom(0, 1, 2),
    measured: fc.constant(["n", "f", "d"].filter((name) => fields.has(name))),
    text: fc.option(fc.constantFrom("x", "y x", "Z", "é", "w", ""), { nil: undefined }),
    facetFilter: fc.record({ b: VALUES.b, n: VALUES.n }, { requiredKeys: [] }),
  });
}

/** Rows of an app, and queries of callers. */
export function casesOf(app: AnyApp): fc.Arbitrary<AnyCases> {
  const question = fc
    .tuple(fc.constantFrom(...app), fc.constantFrom(...CALLERS))
    .chain(([owner, caller]) => questionOf(app, owner, caller));
  const questions = fc.array(question, { minLength: 1, maxLength: 12, size: "max" });
  return fc.record({ rows: anyRows, questions });
}
