import fc from "fast-check";

/** A query as a client writes it. */
export interface Query {
  readonly entity: string;
  readonly where: Record<string, unknown>;
  readonly order: Record<string, "asc" | "desc"> | undefined;
  readonly limit: number | undefined;
}

/** What is written to one row: its next version, or null to delete it. */
export interface Write {
  readonly entity: string;
  readonly row: number;
  readonly values: RowValues | null;
}

export interface RowValues {
  readonly a: string;
  readonly b: string | null;
  readonly n: number;
  readonly owner: number;
}

/** How a client that comes back says where it was. */
export type Cursor = "exact" | "none" | "older" | "made up" | "other log";

export type Step =
  | { readonly kind: "commit"; readonly transactions: readonly (readonly Write[])[] }
  /** A client is away while others write, and comes back. */
  | {
      readonly kind: "away";
      readonly client: number;
      /** As whom it comes back; null: as the one who left. */
      readonly user: number | null;
      readonly cursor: Cursor;
      readonly transactions: readonly (readonly Write[])[];
    }
  | { readonly kind: "subscribe"; readonly client: number; readonly query: Query }
  | { readonly kind: "unsubscribe"; readonly client: number; readonly which: number }
  /** Transactions while a client subscribes. */
  | {
      readonly kind: "race";
      readonly client: number;
      readonly query: Query;
      readonly transactions: readonly (readonly Write[])[];
    };

export interface Scenario {
  /** The read policies, by entity. */
  readonly policies: readonly string[];
  readonly queries: readonly Query[];
  readonly steps: readonly Step[];
}

export const ENTITIES = ["Alpha", "Beta", "Gamma"] as const;
export const CLIENTS = 3;
/** Guests, and last one who is not signed in. */
export const USERS = 4;
const ROWS = 6;

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
const exists = fc.oneof(
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
const policy = fc.oneof(
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
    { $or: [{ a: "x" }, { n: 2 }] },
    { $not: { a: "x" } },
  ),
);
const query: fc.Arbitrary<Query> = fc.record({
  entity,
  where: fc
    .array(condition, { maxLength: 2 })
    .map((all): Record<string, unknown> => (all.length === 0 ? {} : { $and: all })),
  order: fc.constantFrom<Query["order"][]>(
    undefined,
    { n: "asc" },
    { n: "desc" },
    { b: "asc", n: "desc" },
    { b: "desc" },
  ),
  limit: fc.constantFrom(undefined, undefined, 1, 2, 3),
});

const values: fc.Arbitrary<RowValues> = fc.record({
  a: text,
  b: fc.constantFrom("x", "y", null),
  n: fc.nat(3),
  owner: fc.nat(USERS - 2),
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

/** @param steps most of a scenario */
export function scenarios(steps: number): fc.Arbitrary<Scenario> {
  return fc.record({
    policies: fc.tuple(policy, policy, policy),
    queries: fc.array(query, { minLength: 2, maxLength: 6 }),
    steps: fc.array(step, { minLength: 1, maxLength: steps, size: "max" }),
  });
}
