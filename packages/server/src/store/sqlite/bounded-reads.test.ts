import { expect, test } from "bun:test";
import { parseFilter, parsePolicy, TRUE, type Expr } from "@pylonsync/query";
import type { Select } from "../store.ts";
import { isBoundedCount, isBoundedSelect, isBoundedTest, type IndexesOf } from "./bounded-reads.ts";

const indexesOf: IndexesOf = (table) =>
  table === "Member"
    ? [{ isUnique: false, columns: ["channel", "userId"] }]
    : [
        { isUnique: true, columns: ["id"] },
        { isUnique: true, columns: ["slug"] },
        { isUnique: false, columns: ["channel"] },
      ];

const where = (filter: object): Expr => parseFilter(filter, undefined).where;
const isShort = (select: Omit<Select, "entity">): boolean =>
  isBoundedSelect({ entity: "Note", ...select }, indexesOf);

test("the first rows in the order of their ids are few, regardless of the table's size", () => {
  expect(isShort({ limit: 50 })).toBe(true);
  expect(isShort({ limit: 200, where: TRUE })).toBe(true);
  expect(isShort({ limit: 50, where: where({ channel: "a" }) })).toBe(true);
  expect(isShort({ limit: 50, where: where({ id: { $gt: "x" } }) })).toBe(true);
});

test("rows that are skipped are also read", () => {
  expect(isShort({ limit: 50, offset: 150 })).toBe(true);
  expect(isShort({ limit: 50, offset: 151 })).toBe(false);
  expect(isShort({ limit: 201 })).toBe(false);
  expect(isShort({})).toBe(false);
});

test("another order, or a condition without an index, may scan every row", () => {
  expect(isShort({ limit: 1, order: [{ field: "text", direction: "asc" }] })).toBe(false);
  expect(isShort({ limit: 1, where: where({ text: "x" }) })).toBe(false);
  expect(isShort({ limit: 1, where: where({ channel: "a", text: "x" }) })).toBe(false);
});

test("rows that are identified by a key are few, in any order", () => {
  const order = [{ field: "text", direction: "asc" as const }];
  expect(isShort({ order, where: where({ slug: "x", text: "y" }) })).toBe(true);
  expect(isShort({ order, where: where({ id: { $in: ["a", "b"] } }) })).toBe(true);
  const ids = Array.from({ length: 201 }, (_, n) => `n${n}`);
  expect(isShort({ order, where: where({ id: { $in: ids } }) })).toBe(false);
  expect(isBoundedCount("Note", where({ slug: "x" }), indexesOf)).toBe(true);
  expect(isBoundedCount("Note", where({ channel: "a" }), indexesOf)).toBe(false);
});

test("a lookup of other rows is short with an index, and no text is searched", () => {
  const rule = (text: string): boolean => isBoundedTest(parsePolicy(text), indexesOf);
  expect(rule("exists(Member, channel == 'a' && userId == 'u')")).toBe(true);
  expect(rule("exists(Member, userId == 'u')")).toBe(false);
  expect(isShort({ where: where({ slug: "x", text: { $like: "y" } }) })).toBe(false);
});
