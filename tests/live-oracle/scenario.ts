import fc from "fast-check";

/** A query as a client sends it. */
export interface Query {
  readonly entity: string;
  readonly where: Record<string, unknown>;
  readonly order: Record<string, "asc" | "desc"> | undefined;
  readonly limit: number | undefined;
  readonly include?: Includes;
}

/** The queries of related rows, by relation. */
export type Includes = Readonly<Record<string, Include>>;
export interface Include extends Partial<Omit<Query, "entity">> {}

/** A relation, and how it finds its rows. */
export interface Relation {
  readonly name: string;
  readonly owner: string;
  readonly target: string;
  /** By `to` of the row, by `to` of the related rows, or by `to` and `via` of rows between them. */
  readonly kind: "one" | "many" | "joined";
  readonly through?: string;
}

/** A write to one row: its next version, or null to delete it. */
export interface Write {
  readonly entity: string;
  readonly row: number;
  readonly values: RowValues | null;
}

export interface RowValues {
  readonly a: string;
  readonly b: string | null;
  /** A field that not all users may read. */
  readonly c?: string | null;
  readonly n: number;
  readonly owner: number;
  /** The ids of rows of any entity. */
  readonly to?: string | null;
  readonly via?: string | null;
}

/** The cursor that a returning client sends. */
export type Cursor = "exact" | "none" | "older" | "made up" | "other log";

export type Step =
  | { readonly kind: "commit"; readonly transactions: readonly (readonly Write[])[] }
  /** A client is disconnected while others write, and returns. */
  | {
      readonly kind: "away";
      readonly client: number;
      /** The user as which it returns; null for the same user. */
      readonly user: number | null;
      readonly cursor: Cursor;
      readonly transactions: readonly (readonly Write[])[];
      /** Transactions that are committed while it catches up. */
      readonly meanwhile?: readonly (readonly Write[])[];
    }
  | { readonly kind: "subscribe"; readonly client: number; readonly query: Query }
  | { readonly kind: "unsubscribe"; readonly client: number; readonly which: number }
  /** Transactions that are committed while a client subscribes. */
  | {
      readonly kind: "race";
      readonly client: number;
      readonly query: Query;
      readonly transactions: readonly (readonly Write[])[];
    };

export interface Scenario {
  /** The read policies, by entity. */
  readonly policies: readonly string[];
  /** The read policies of the field `c`, by entity. If absent, it can be read with the row. */
  readonly closed?: readonly string[];
  readonly queries: readonly Query[];
  readonly steps: readonly Step[];
}

export const ENTITIES = ["Alpha", "Beta", "Gamma"] as const;
export const CLIENTS = 3;
/** The number of users: guests, and one anonymous caller as the last. */
export const USERS = 4;
const ROWS = 6;

/** All kinds of relations between all entities. */
export const RELATIONS: readonly Relation[] = ENTITIES.flatMap((owner) =>
  ENTITIES.flatMap((target, index): Relation[] => [
    { name: `to${target}`, owner, target, kind: "one" },
    { name: `from${target}`, owner, target, kind: "many" },
    {
      name: `over${target}`,
      owner,
      target,
      kind: "joined",
      through: ENTITIES[(index + 1) % ENTITIES.length] ?? owner,
    },
  ]),
);

const entity = fc.constantFrom(...ENTITIES);
const text = fc.constantFrom("x", "y", "z");

const leaf = fc.oneof(
  text.map((value) => `data.a == '${value}'`),
  fc.constantFrom(
    "data.b == null",
    "data.b != null",
    "data.n > 1",
    "data.n in [0, 2]",
    "data.owner == auth.userId",
    "data.owner != auth.userId",
    "auth.userId != null",
  ),
);
const relatedLeaf = fc.constantFrom(
  "owner == auth.userId",
  "owner == auth.userId",
  "a == data.a",
  "a == data.a",
  "b == data.b",
  "owner == data.owner",
  "n == data.n",
  "n > 1",
  "a == 'x'",
  "b == null",
  "id == data.id",
);
const plainExists = fc
  .tuple(entity, fc.array(relatedLeaf, { minLength: 1, maxLength: 3 }))
  .map(([over, parts]) => `exists(${over}, ${parts.join(" && ")})`);
/** Parts of an inner `exists` that name the row `o` of the outer one. */
const outerLeaf = fc.constantFrom(
  "a == o.a",
  "n == o.n",
  "owner == o.owner",
  "b == o.b",
  "to == o.id",
);
const correlated = fc
  .tuple(
    entity,
    relatedLeaf,
    fc.constantFrom(" && ", " && !", " || "),
    entity,
    outerLeaf,
    relatedLeaf,
  )
  .map(
    ([over, own, joint, inner, named, more]) =>
      `exists(${over} as o, ${own}${joint}exists(${inner}, ${named} && ${more}))`,
  );
const exists = fc.oneof(
  { weight: 2, arbitrary: correlated },
  { weight: 4, arbitrary: plainExists },
  {
    weight: 1,
    arbitrary: fc
      .tuple(entity, relatedLeaf, fc.constantFrom(" && ", " && !", " || "), plainExists)
      .map(([over, own, joint, inner]) => `exists(${over}, ${own}${joint}${inner})`),
  },
);
const part = fc.oneof(
  leaf,
  exists,
  exists.map((inner) => `!${inner}`),
);
/** Read policies of rows with `a`, `b`, `n`, `owner` and `to`, with every kind of `exists`. */
export const policy = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom("true", "data.owner == auth.userId") },
  { weight: 1, arbitrary: leaf },
  {
    weight: 4,
    arbitrary: fc
      .tuple(part, fc.array(fc.tuple(fc.constantFrom("&&", "||"), part), { maxLength: 2 }))
      .map(([first, others]) =>
        others.reduce((sum, [joint, next]) => `(${sum}) ${joint} ${next}`, first),
      ),
  },
);

const condition: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  text.map((a) => ({ a })),
  fc.constantFrom<Record<string, unknown>[]>(
    { b: null },
    { b: { $ne: null } },
    { n: { $gt: 0 } },
    { n: { $in: [1, 3] } },
    { a: { $like: "y" } },
    { a: { $ilike: "Y" } },
    { b: { $endsWith: "x" } },
    { n: { $between: [1, 2] } },
    { cost: { $gt: "4.50" } },
    { tags: { $has: "x" } },
    { tags: { $hasAny: ["y", "z"] } },
    { "meta.of.a": "y" },
    { "meta.of.n": { $gte: 2 } },
    { $or: [{ a: "x" }, { n: 2 }] },
    { $not: { a: "x" } },
  ),
);
/** Conditions on related rows, which may have conditions on their own related rows. */
function relatedCondition(owner: string, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const own = RELATIONS.filter((relation) => relation.owner === owner);
  const related = fc.constantFrom(...own).chain(({ name, target }) => {
    const inner: fc.Arbitrary<Record<string, unknown> | null>[] = [
      condition,
      condition,
      fc.constantFrom({}, null),
    ];
    if (depth > 0) inner.push(relatedCondition(target, depth - 1));
    return fc.oneof(...inner).map((asked): Record<string, unknown> => ({ [name]: asked }));
  });
  return fc.oneof(
    { weight: 4, arbitrary: related },
    { weight: 1, arbitrary: related.map((asked) => ({ $not: asked })) },
    {
      weight: 1,
      arbitrary: fc.tuple(related, condition).map((either) => ({ $or: either })),
    },
  );
}

function whereOf(owner: string): fc.Arbitrary<Record<string, unknown>> {
  const one = fc.oneof(
    { weight: 2, arbitrary: condition },
    { weight: 1, arbitrary: relatedCondition(owner, 1) },
  );
  return fc
    .array(one, { maxLength: 2 })
    .map((all): Record<string, unknown> => (all.length === 0 ? {} : { $and: all }));
}
const order = fc.constantFrom<Query["order"][]>(
  undefined,
  { n: "asc" },
  { n: "desc" },
  { b: "asc", n: "desc" },
  { b: "desc" },
  { cost: "asc" },
  { cost: "desc", b: "asc" },
);
const limit = fc.constantFrom(undefined, undefined, 1, 2, 3);

function includesOf(owner: string, depth: number): fc.Arbitrary<Includes> {
  const own = RELATIONS.filter((relation) => relation.owner === owner);
  const part = fc.constantFrom(...own).chain(({ name, target, kind }) =>
    fc
      .record(
        {
          where: whereOf(target),
          order,
          limit: kind === "many" ? limit : fc.constant(undefined),
          include: depth === 0 ? fc.constant({}) : includesOf(target, depth - 1),
        },
        { requiredKeys: [] },
      )
      .map((asked): readonly [string, Include] => [name, asked]),
  );
  return fc.array(part, { minLength: 1, maxLength: 2 }).map((all) => Object.fromEntries(all));
}

const query: fc.Arbitrary<Query> = entity.chain((name) =>
  fc.record({
    entity: fc.constant(name),
    where: whereOf(name),
    order,
    limit,
    include: fc.oneof(fc.constant({}), includesOf(name, 2)),
  }),
);
const link = fc
  .tuple(entity, fc.nat(ROWS - 1))
  .map(([name, row]): string => `${name.toLowerCase()}${row}`);

const values: fc.Arbitrary<RowValues> = fc.record({
  a: text,
  b: fc.constantFrom("x", "y", null),
  c: fc.constantFrom("secret", "kept", null),
  n: fc.nat(3),
  owner: fc.nat(USERS - 2),
  to: fc.option(link, { freq: 6 }),
  via: fc.option(link, { freq: 6 }),
});
const transaction = fc.array(
  fc.record({ entity, row: fc.nat(ROWS - 1), values: fc.option(values, { freq: 4 }) }),
  { minLength: 1, maxLength: 4 },
);
const client = fc.nat(CLIENTS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("commit" as const),
      transactions: fc.oneof(
        { weight: 3, arbitrary: fc.tuple(transaction) },
        { weight: 1, arbitrary: fc.array(transaction, { minLength: 2, maxLength: 4 }) },
      ),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("away" as const),
      client,
      user: fc.option(fc.nat(USERS - 1), { freq: 2, nil: null }),
      cursor: fc.constantFrom<Cursor[]>(
        "exact",
        "exact",
        "exact",
        "exact",
        "none",
        "older",
        "made up",
        "other log",
      ),
      transactions: fc.array(transaction, { maxLength: 3 }),
      meanwhile: fc.oneof(
        { weight: 2, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(transaction, { minLength: 1, maxLength: 4 }) },
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("subscribe" as const), client, query }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("unsubscribe" as const), client, which: fc.nat(5) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("race" as const),
      client,
      query,
      transactions: fc.array(transaction, { minLength: 1, maxLength: 5 }),
    }),
  },
);

const fieldPolicy = fc.constantFrom("true", "auth.userId != null", "auth.userId == null", "false");

/** The maximum sizes of a scenario. */
export interface Size {
  readonly steps: number;
  /** Queries that are open from the start. */
  readonly queries: number;
}

/** Scenarios of all kinds. In a third of them, more rows are related to each other. */
export function scenarios(size: Size): fc.Arbitrary<Scenario> {
  return fc.oneof(
    { weight: 2, arbitrary: policyScenarios(size) },
    { weight: 1, arbitrary: includeScenarios(size) },
  );
}

function policyScenarios({ steps, queries }: Size): fc.Arbitrary<Scenario> {
  return fc.record({
    policies: fc.tuple(policy, policy, policy),
    closed: fc.tuple(fieldPolicy, fieldPolicy, fieldPolicy),
    queries: fc.array(query, { minLength: 1, maxLength: queries }),
    steps: fc.array(step, { minLength: 1, maxLength: steps, size: "max" }),
  });
}

const linked: fc.Arbitrary<Write> = fc.record({
  entity,
  row: fc.nat(ROWS - 1),
  values: fc.option(
    fc.record({
      a: text,
      b: fc.constantFrom("x", null),
      n: fc.nat(3),
      owner: fc.nat(USERS - 2),
      to: link,
      via: link,
    }),
    { freq: 12 },
  ),
});
const linking = fc.array(fc.array(linked, { minLength: 2, maxLength: 4 }), { maxLength: 3 });
/** Each is small, so that many commits overlap the reads of a returning client. */
const linkingMeanwhile = fc.array(fc.array(linked, { minLength: 1, maxLength: 2 }), {
  maxLength: 6,
});

/**
 * Related rows, most of which all users may read, and clients whose queries include related rows,
 * and that disconnect and return with the rows that they have.
 */
function includeScenarios({ steps, queries }: Size): fc.Arbitrary<Scenario> {
  const asked: fc.Arbitrary<Query> = entity.chain((name) =>
    fc.record({
      entity: fc.constant(name),
      where: fc.constant({}),
      order,
      limit: fc.constantFrom(undefined, 3),
      include: includesOf(name, 1),
    }),
  );
  const away: fc.Arbitrary<Step> = fc.record({
    kind: fc.constant("away" as const),
    client,
    user: fc.constant(null),
    cursor: fc.constantFrom<Cursor[]>("exact", "exact", "exact", "older"),
    transactions: linking,
    meanwhile: linkingMeanwhile,
  });
  const commit: fc.Arbitrary<Step> = linking.map((transactions) => ({
    kind: "commit" as const,
    transactions,
  }));
  return fc.record({
    policies: fc.tuple(fc.constant("true"), fc.constantFrom("true", "data.n != 1"), policy),
    queries: fc.array(asked, { minLength: 1, maxLength: queries }),
    steps: fc
      .tuple(
        commit,
        fc.array(fc.oneof(away, commit), { minLength: 1, maxLength: steps - 1, size: "max" }),
      )
      .map(([first, others]) => [first, ...others]),
  });
}
