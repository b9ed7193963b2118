import { expect, test } from "bun:test";
import { TRUE } from "./expr.ts";
import { parseLocalFilter } from "./parse-local-filter.ts";
import { relatedEntities } from "./related-entities.ts";
import type { Relation, Relations } from "./related-names.ts";
import { hasExists } from "./walk.ts";

const relationTo = (name: string): Relation => ({
  entity: { name, fields: new Map() },
  key: "id",
  field: "id",
  readable: TRUE,
  relations,
});
const relations: Relations = (name) => (/^[A-Z]/.test(name) ? relationTo(name) : undefined);

test.each([
  [{ done: false, n: { $in: [1, 2] }, $or: [{ a: 1 }, { $not: { b: 2 } }] }, []],
  [{ User: { name: "Ann" } }, ["User"]],
  [{ User: null }, ["User"]],
  [{ User: { name: "Ann", Team: { Owner: null } } }, ["User", "Team", "Owner"]],
  [{ $or: [{ $not: { User: {} } }, { $and: [{ a: 1 }, { Team: {} }] }] }, ["User", "Team"]],
])("the related entities of %j are %j", (filter, entities) => {
  const { where } = parseLocalFilter(filter, undefined, relations);
  expect(relatedEntities(where)).toEqual(entities);
  expect(hasExists(where)).toBe(entities.length > 0);
});
