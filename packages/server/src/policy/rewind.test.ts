import { expect, test } from "bun:test";
import { FALSE, literal, parsePolicy, path, type Expr } from "@pylonsync/query";
import fc from "fast-check";
import { holds } from "../store/sql/naive-evaluator.ts";
import type { StoredRow } from "../store/store.ts";
import { earlierRows, mayAffect, reachOf, rewind, type RelatedChange } from "./rewind.ts";

type Rows = ReadonlyMap<string, readonly StoredRow[]>;

const ENTITIES = ["Alpha", "Beta"] as const;
const values = fc.constantFrom("a", "b", null);
const fields = fc.constantFrom("x", "y", "id");

/**
 * Rules with few fields and values, so that rows often match them, with nested and negated
 * `exists`.
 */
function rules(existsDepth: number, around = 0): fc.Arbitrary<Expr> {
  const data = fields.map((name): Expr => path("data", name));
  const own = around > 0 ? fields.map((name): Expr => path("related", name)) : data;
  const outer =
    around > 1 ? fields.map((name): Expr => ({ kind: "outer", up: around - 1, name })) : own;
  const compared = fc
    .tuple(
      fc.constantFrom("==" as const, "!=" as const),
      own,
      fc.oneof(data, own, outer, values.map(literal)),
    )
    .map(([op, left, right]): Expr => ({ kind: "compare", op, left, right }));
  if (existsDepth === 0) return compared;
  const found = fc
    .tuple(fc.constantFrom(...ENTITIES), rules(existsDepth - 1, around + 1))
    .map(([entity, where]): Expr => ({ kind: "exists", entity, where }));
  const part = fc.oneof(
    compared,
    found,
    found.map((item): Expr => ({ kind: "not", item })),
  );
  return fc
    .tuple(
      fc.constantFrom("and" as const, "or" as const),
      fc.array(part, { minLength: 1, maxLength: 3 }),
    )
    .map(([kind, items]) => ({ kind, items }));
}

const versions = fc.record({ x: values, y: values });
const tables = fc.record({ a: versions, b: versions, c: versions }, { requiredKeys: [] });

function rowsOf(table: object): StoredRow[] {
  return Object.entries(table).map(([id, row]) => ({ ...(row as object), id }));
}

/** A rule, and the rows before and after a change of one of them. */
const scenes = fc
  .record({
    rule: rules(2),
    alpha: tables,
    beta: tables,
    entity: fc.constantFrom(...ENTITIES),
    rowId: fc.constantFrom("a", "b", "d"),
    to: fc.option(versions),
  })
  .map(({ rule, alpha, beta, entity, rowId, to }) => {
    const before: Rows = new Map([
      ["Alpha", rowsOf(alpha)],
      ["Beta", rowsOf(beta)],
    ]);
    const known = before.get(entity) ?? [];
    const after = to === null ? null : { ...to, id: rowId };
    const change: RelatedChange = {
      entity,
      rowId,
      before: known.find(({ id }) => id === rowId) ?? null,
      after,
    };
    const others = known.filter(({ id }) => id !== rowId);
    return {
      rule,
      change,
      before,
      after: new Map([...before, [entity, after === null ? others : [...others, after]]]),
      data: rowsOf({ ...alpha, ...beta, e: { x: "a", y: null } }),
    };
  });

test("a rewound rule gives after the change the result that the rule gave before it", () => {
  fc.assert(
    fc.property(scenes, ({ rule, change, before, after, data }) => {
      const rewound = rewind(rule, earlierRows([change]));
      for (const row of data)
        expect(holds(rewound, { data: row }, after)).toBe(holds(rule, { data: row }, before));
    }),
    { numRuns: 400 },
  );
});

test("every row whose result is changed by a change is in its reach", () => {
  fc.assert(
    fc.property(scenes, ({ rule, change, before, after, data }) => {
      const reach = reachOf(rule, change);
      for (const row of data)
        if (holds(rule, { data: row }, before) !== holds(rule, { data: row }, after))
          expect(holds(reach, { data: row }, after)).toBe(true);
    }),
    { numRuns: 400 },
  );
});

test("a change that affects no exists changes no result, and reaches no rows", () => {
  fc.assert(
    fc.property(scenes, ({ rule, change, before, after, data }) => {
      fc.pre(!mayAffect(rule, change));
      expect(reachOf(rule, change)).toEqual(FALSE);
      for (const row of data)
        expect(holds(rule, { data: row }, after)).toBe(holds(rule, { data: row }, before));
    }),
    { numRuns: 400 },
  );
});

test("an update affects a rule only by the fields that the rule reads", () => {
  const rule = parsePolicy(
    "exists(Issue, id == data.issueId && exists(Member, teamId == Issue.teamId && userId == 'u1'))",
  );
  const issue = { id: "i1", teamId: "t1", title: "Old" };
  const change = (after: object): RelatedChange => {
    return { entity: "Issue", rowId: "i1", before: issue, after: { ...issue, ...after } };
  };
  expect(mayAffect(rule, change({ title: "New" }))).toBe(false);
  expect(reachOf(rule, change({ title: "New" }))).toEqual(FALSE);
  expect(mayAffect(rule, change({ teamId: "t2" }))).toBe(true);
  expect(reachOf(rule, change({ teamId: "t2" }))).not.toEqual(FALSE);
  for (const row of [{ before: null }, { after: null }])
    expect(mayAffect(rule, { ...change({}), ...row })).toBe(true);
});

test("several changes are rewound together, and a later store finds the reach of one", () => {
  const later = fc.record({
    entity: fc.constantFrom(...ENTITIES),
    rowId: fc.constantFrom("a", "b", "d"),
    to: fc.option(versions),
  });
  fc.assert(
    fc.property(scenes, fc.array(later, { maxLength: 3 }), ({ rule, ...scene }, writes) => {
      const { change, before, after, data } = scene;
      const laterChanges: RelatedChange[] = [];
      let now = after;
      for (const { entity, rowId, to } of writes) {
        const rows = now.get(entity) ?? [];
        const made = to === null ? null : { ...to, id: rowId };
        const others = rows.filter(({ id }) => id !== rowId);
        laterChanges.push({
          entity,
          rowId,
          before: rows.find(({ id }) => id === rowId) ?? null,
          after: made,
        });
        now = new Map([...now, [entity, made === null ? others : [...others, made]]]);
      }
      const rewound = rewind(rule, earlierRows([change, ...laterChanges]));
      const reach = reachOf(rule, change, earlierRows(laterChanges));
      for (const row of data) {
        const held = holds(rule, { data: row }, before);
        expect(holds(rewound, { data: row }, now)).toBe(held);
        if (holds(rule, { data: row }, after) !== held)
          expect(holds(reach, { data: row }, now)).toBe(true);
      }
    }),
    { numRuns: 400 },
  );
});

test("a change of an entity outside of every exists reaches no rows", () => {
  fc.assert(
    fc.property(scenes, ({ rule, change, data, after }) => {
      const elsewhere = { ...change, entity: "Gamma" };
      expect(reachOf(rule, elsewhere)).toEqual(FALSE);
      for (const row of data)
        expect(holds(rewind(rule, earlierRows([elsewhere])), { data: row }, after)).toBe(
          holds(rule, { data: row }, after),
        );
    }),
  );
});

test("a membership reaches only the rows of its room", () => {
  const rule = parsePolicy("exists(Member, room == data.room && user == 'u1')");
  const reach = reachOf(rule, {
    entity: "Member",
    rowId: "m1",
    before: null,
    after: { id: "m1", room: "r1", user: "u1" },
  });
  const isReached = (room: string): boolean => holds(reach, { data: { id: "t", room } }, new Map());
  expect([isReached("r1"), isReached("r2")]).toEqual([true, false]);
});
