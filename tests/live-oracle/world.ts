import { parseFilter, parsePolicy, sortRows, type AuthValues } from "@pylonsync/query";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { holds } from "../../packages/server/src/store/sql/naive-evaluator.ts";
import type { StoredRow } from "../../packages/server/src/store/store.ts";
import { appOf } from "../support/server.ts";
import { ENTITIES, type Query, type Scenario } from "./scenario.ts";

/** All rows of the database, by entity and id. */
export type State = ReadonlyMap<string, ReadonlyMap<string, StoredRow>>;

export const EMPTY: State = new Map(ENTITIES.map((name) => [name, new Map()]));

export function appFor({ policies }: Scenario): ReturnType<typeof appOf> {
  return appOf(
    buildManifest({
      name: "oracle",
      version: "1.0.0",
      entities: ENTITIES.map((name) =>
        entity(name, {
          a: field.string(),
          b: field.string().optional(),
          n: field.int(),
          owner: field.string(),
        }),
      ),
      policies: ENTITIES.map((name, index) =>
        policy({
          name,
          entity: name,
          allowRead: policies[index] ?? "false",
          allowWrite: "auth.isAdmin",
        }),
      ),
    }),
  );
}

/** The rows of a query that a user may read, found by looking through all rows. */
export function expectedRows(
  { policies }: Scenario,
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
  };
  const tables = new Map([...state].map(([key, rows]) => [key, [...rows.values()]]));
  const index = ENTITIES.findIndex((one) => one === name);
  const readable = parsePolicy(policies[index] ?? "false");
  const filter = parseFilter({ ...where, ...(order === undefined ? {} : { $order: order }) });
  const rows = (tables.get(name) ?? []).filter(
    (data) => holds(readable, { auth, data }, tables) && holds(filter.where, { data }, tables),
  );
  const sorted = sortRows(rows, filter.order);
  return new Map(sorted.slice(0, limit).map((row) => [row.id, row]));
}
