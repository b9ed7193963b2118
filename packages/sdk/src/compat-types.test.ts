import { expect, test } from "bun:test";
import {
  action,
  actionsToManifest,
  buildManifest,
  defineRoute,
  entitiesToManifest,
  entity,
  field,
  policiesToManifest,
  policy,
  queriesToManifest,
  query,
  routesToManifest,
  type AppManifest,
} from "./index.ts";

test("each part of a manifest equals that of buildManifest", () => {
  const entities = [
    entity("Todo", { title: field.string(), done: field.bool().default(false) }),
    entity("User", { email: field.string().unique() }),
  ];
  const routes = [defineRoute({ path: "/", mode: "live", query: "openTodos", auth: "user" })];
  const queries = [query("openTodos", { input: [{ name: "limit", type: "int" }] })];
  const actions = [action("sendDigest")];
  const policies = [policy({ name: "all", entity: "Todo", allow: "true" })];
  const parts = { entities, routes, queries, actions, policies };
  const whole: AppManifest = buildManifest({ name: "todos", version: "1.0.0", ...parts });
  expect(entitiesToManifest(entities)).toEqual(JSON.parse(JSON.stringify(whole.entities)));
  expect(routesToManifest(routes)).toEqual(whole.routes);
  expect(queriesToManifest(queries)).toEqual(whole.queries);
  expect(actionsToManifest(actions)).toEqual(whole.actions);
  expect(policiesToManifest(policies)).toEqual(whole.policies);
  expect(policiesToManifest(policies)[0]).not.toBe(policies[0]);
  expect(entitiesToManifest([])).toEqual([]);
});
