import {
  parseFilter,
  parsePolicy,
  sortRows,
  type AuthValues,
  type EntityShape,
  type Expr,
  type FieldKind,
  type Relations,
} from "@pylonsync/query";
import { buildManifest, entity, field, policy, type ManifestRelation } from "@pylonsync/sdk";
import { holds } from "../../packages/server/src/store/sql/naive-evaluator.ts";
import type { StoredRow } from "../../packages/server/src/store/store.ts";
import { appOf } from "../support/server.ts";
import {
  ENTITIES,
  RELATIONS,
  type Includes,
  type Query,
  type Relation,
  type Scenario,
} from "./scenario.ts";

/** The fields of every entity. */
const SHAPE: EntityShape = {
  name: "Row",
  fields: new Map<string, FieldKind>([
    ["id", "id"],
    ["a", "string"],
    ["b", "string"],
    ["n", "int"],
    ["cost", "decimal"],
    ["tags", "array"],
    ["meta", "json"],
    ["owner", "string"],
    ["to", "string"],
    ["via", "string"],
  ]),
};

/** All rows of the database, by entity and id. */
export type State = ReadonlyMap<string, ReadonlyMap<string, StoredRow>>;

export const EMPTY: State = new Map(ENTITIES.map((name) => [name, new Map()]));

/** The name of an entity of a scenario on a server that several scenarios share. */
export function nameIn(world: number, entity: string): string {
  return `${entity}${world}`;
}

/** An app with the entities of several scenarios, which are independent of each other. */
export function appFor(scenarios: readonly Scenario[]): ReturnType<typeof appOf> {
  return appOf(
    buildManifest({
      name: "oracle",
      version: "1.0.0",
      entities: scenarios.flatMap((_, world) =>
        ENTITIES.map((name) => declaredEntity(world, name)),
      ),
      policies: scenarios.flatMap(({ policies, closed }, world) =>
        ENTITIES.map((name, index) =>
          policy({
            name: nameIn(world, name),
            entity: nameIn(world, name),
            allowRead: (policies[index] ?? "false").replaceAll(
              /\bexists\((\w+)/g,
              (_, over: string) => `exists(${nameIn(world, over)}`,
            ),
            allowWrite: "auth.isAdmin",
            fields: { c: { allowRead: closed?.[index] ?? "true" } },
          }),
        ),
      ),
    }),
  );
}

function declaredEntity(world: number, name: string): ReturnType<typeof entity> {
  return entity(
    nameIn(world, name),
    {
      a: field.string(),
      b: field.string().optional(),
      c: field.string().optional(),
      n: field.int(),
      cost: field.decimal(6, 2).optional(),
      tags: field.array(field.string()),
      meta: field.json(),
      owner: field.string(),
      to: field.string().optional(),
      via: field.string().optional(),
    },
    {
      relations: RELATIONS.filter(({ owner }) => owner === name).map((relation) =>
        declaredRelation(world, relation),
      ),
    },
  );
}

function declaredRelation(
  world: number,
  { name, target, kind, through }: Relation,
): ManifestRelation {
  const relation = { name, target: nameIn(world, target), field: "to", many: kind !== "one" };
  return through === undefined
    ? relation
    : { ...relation, through: nameIn(world, through), targetField: "via" };
}

/**
 * The rows of a query and of what it includes, by the path of relation names. Rows that join others
 * are a separate level.
 */
export function expectedParts(
  scenario: Scenario,
  state: State,
  userId: string | null,
  query: Query,
): Map<string, Map<string, StoredRow>> {
  const parts = new Map<string, Map<string, StoredRow>>();
  const related = (asked: Query, isRelated: (row: StoredRow) => boolean): StoredRow[] => {
    const all = [...expectedRows(scenario, state, userId, { ...asked, limit: undefined }).values()];
    return all.filter(isRelated).slice(0, asked.limit);
  };
  const put = (path: string, rows: readonly StoredRow[]): StoredRow[] => {
    const unique = new Map(rows.map((row) => [row.id, row]));
    parts.set(path, unique);
    return [...unique.values()];
  };
  const follow = (path: string, owner: string, rows: StoredRow[], include: Includes = {}): void => {
    for (const [name, options] of Object.entries(include)) {
      const relation = RELATIONS.find((one) => one.owner === owner && one.name === name);
      if (relation === undefined) throw new Error(name);
      const { target, kind, through = "" } = relation;
      const asked: Query = {
        where: {},
        order: undefined,
        limit: undefined,
        ...options,
        entity: target,
      };
      const here = `${path}/${name}`;
      let found: StoredRow[];
      if (kind === "one") found = rows.flatMap(({ to }) => related(asked, ({ id }) => id === to));
      else if (kind === "many")
        found = rows.flatMap(({ id }) => related(asked, ({ to }) => to === id));
      else {
        const between: Query = { entity: through, where: {}, order: undefined, limit: undefined };
        const joints = put(
          here,
          rows.flatMap(({ id }) => related(between, ({ to }) => to === id)),
        );
        const inner = put(
          `${here}/$rows`,
          joints.flatMap(({ via }) => related(asked, ({ id }) => id === via)),
        );
        follow(`${here}/$rows`, target, inner, options.include);
        continue;
      }
      follow(here, target, put(here, found), options.include);
    }
  };
  const root = put("", [...expectedRows(scenario, state, userId, query).values()]);
  follow("", query.entity, root, query.include);
  return parts;
}

/** Only related rows that the user may read count. */
function relationsOf(owner: string, policies: Scenario["policies"]): Relations {
  const readable = (name: string): Expr =>
    parsePolicy(policies[ENTITIES.findIndex((one) => one === name)] ?? "false");
  return (name) => {
    const relation = RELATIONS.find((one) => one.owner === owner && one.name === name);
    if (relation === undefined) return undefined;
    const { target, kind, through = "" } = relation;
    const related = {
      entity: { ...SHAPE, name: target },
      readable: readable(target),
      relations: relationsOf(target, policies),
    };
    if (kind === "one") return { ...related, key: "to", field: "id" };
    if (kind === "many") return { ...related, key: "id", field: "to" };
    const joint = { entity: through, field: "to", readable: readable(through) };
    return { ...related, key: "via", field: "id", through: joint };
  };
}

/** The rows of a query that a user may read, found by a scan of all rows. */
export function expectedRows(
  { policies, closed }: Scenario,
  state: State,
  userId: string | null,
  { entity: name, where, order, limit }: Query,
): Map<string, StoredRow> {
  const auth: AuthValues = {
    userId,
    isAdmin: false,
    isGuest: userId !== null,
    tenantId: null,
    roles: [],
    apiKeyId: null,
    apiKeyScopes: [],
    isTrustedDevice: false,
    claims: {},
  };
  const tables = new Map([...state].map(([key, rows]) => [key, [...rows.values()]]));
  const index = ENTITIES.findIndex((one) => one === name);
  const readable = parsePolicy(policies[index] ?? "false");
  const asked = { ...where, ...(order === undefined ? {} : { $order: order }) };
  const filter = parseFilter(asked, SHAPE, { relations: relationsOf(name, policies) });
  const rows = (tables.get(name) ?? []).filter(
    (data) =>
      holds(readable, { auth, data }, tables) && holds(filter.where, { auth, data }, tables),
  );
  const sorted = sortRows(rows, filter.order);
  const isOpen = holds(parsePolicy(closed?.[index] ?? "true"), { auth }, tables);
  return new Map(
    sorted.slice(0, limit).map((row) => {
      const { c, ...rest } = row;
      return [row.id, isOpen && c !== undefined ? row : { ...rest, id: row.id }];
    }),
  );
}
