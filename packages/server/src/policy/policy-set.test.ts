import { expect, test } from "bun:test";
import { compilePredicate, FALSE, parsePolicy, TRUE, type AuthValues } from "@pylonsync/query";
import type { Manifest, ManifestPolicy } from "@pylonsync/sdk";
import { Schema } from "../schema/schema.ts";
import { equalityKeys, keysOf } from "./audience.ts";
import { compilePolicies, type Access } from "./policy-set.ts";

const ACCESSES: readonly Access[] = ["read", "insert", "update", "delete"];
const auth: AuthValues = {
  userId: "u1",
  isAdmin: false,
  isGuest: false,
  tenantId: null,
  roles: [],
  apiKeyId: null,
  apiKeyScopes: [],
  isTrustedDevice: false,
  claims: {},
};
const field = (name: string, type: "string" | "datetime" = "string") => ({
  name,
  type,
  optional: true,
  unique: false,
});

function manifestOf(policies: readonly ManifestPolicy[], access?: "public"): Manifest {
  return {
    manifest_version: 1,
    name: "test",
    version: "0.0.0",
    routes: [],
    queries: [],
    policies,
    actions: [{ name: "pay" }, { name: "ping" }],
    entities: [
      {
        name: "Todo",
        fields: [field("ownerId"), field("title"), field("due", "datetime")],
        indexes: [],
      },
      { name: "Member", fields: [field("userId"), field("todoId")], indexes: [] },
    ],
    ...(access === undefined ? {} : { access }),
  };
}

function compile(
  policies: readonly ManifestPolicy[],
  options: { dev?: boolean; access?: "public" } = {},
) {
  const manifest = manifestOf(policies, options.access);
  return compilePolicies(manifest, Schema.fromManifest(manifest).shapes, {
    dev: options.dev ?? false,
  });
}

test("the most specific text of a policy defines an access", () => {
  const { policies } = compile([
    {
      name: "p",
      entity: "Todo",
      allow: "data.title == 'allow'",
      allowWrite: "data.title == 'write'",
      allowInsert: "data.title == 'insert'",
      allowRead: " ",
    },
  ]);
  const speaker = (access: Access): string | undefined =>
    ["allow", "write", "insert"].find((title) =>
      compilePredicate(policies.rule("Todo", access))({ data: { title }, auth }),
    );
  expect(ACCESSES.map(speaker)).toEqual(["allow", "insert", "write", "write"]);
});

test("every policy that names the entity must allow the access", () => {
  const { policies, diagnostics } = compile([
    { name: "a", entity: "Todo", allow: "data.ownerId == auth.userId" },
    { name: "b", entity: "Todo", allowRead: "data.title != 'secret'" },
    { name: "c", entity: "Member", allow: "true" },
  ]);
  const read = compilePredicate(policies.rule("Todo", "read"));
  expect(read({ auth, data: { ownerId: "u1", title: "x" } })).toBe(true);
  expect(read({ auth, data: { ownerId: "u1", title: "secret" } })).toBe(false);
  expect(read({ auth, data: { ownerId: "u2", title: "x" } })).toBe(false);
  expect(
    compilePredicate(policies.rule("Todo", "delete"))({
      auth,
      data: { ownerId: "u1", title: "secret" },
    }),
  ).toBe(true);
  expect(diagnostics).toEqual([]);
});

test("T7: an access without a policy is closed, but open in dev mode or a public app", () => {
  const silent: ManifestPolicy[] = [{ name: "p", entity: "Todo", allowRead: "true" }];
  const closed = compile(silent);
  expect(ACCESSES.map((access) => closed.policies.rule("Member", access))).toEqual([
    FALSE,
    FALSE,
    FALSE,
    FALSE,
  ]);
  expect(ACCESSES.map((access) => closed.policies.rule("Todo", access))).toEqual([
    TRUE,
    FALSE,
    FALSE,
    FALSE,
  ]);
  expect(
    closed.diagnostics.map(({ severity, path, message }) => [severity, path, message]),
  ).toEqual([
    ["warning", "entities.Todo", "No policy defines who may insert, update, delete Todo: closed."],
    ["warning", "entities.Member", "No policy applies to Member: closed."],
  ]);
  const dev = compile(silent, { dev: true });
  expect(dev.policies.rule("Todo", "insert")).toEqual(TRUE);
  expect(dev.diagnostics.map(({ message }) => message)).toEqual([
    "No policy defines who may insert, update, delete Todo: " +
      "open to everyone in dev mode, closed outside of it.",
    "No policy applies to Member: open to everyone in dev mode, closed outside of it.",
  ]);
  const open = compile(silent, { access: "public" });
  expect(open.policies.rule("Member", "delete")).toEqual(TRUE);
  expect(open.policies.rule("Unknown", "read")).toEqual(FALSE);
});

test("an invalid policy is one error with its location, and closes even in dev mode", () => {
  const { policies, diagnostics } = compile(
    [
      { name: "typo", entity: "Todo", allow: "auth.userId == data.ownerid" },
      { name: "broken", entity: "Member", allow: "true", allowRead: "data.userId = auth.userId" },
    ],
    { dev: true },
  );
  expect(
    diagnostics.map(({ severity, code, path, position }) => ({ severity, code, path, position })),
  ).toEqual([
    { severity: "error", code: "POLICY_INVALID", path: "policies[0].allow", position: 15 },
    { severity: "error", code: "POLICY_SYNTAX", path: "policies[1].allowRead", position: 12 },
  ]);
  expect(diagnostics[0]?.hint).toContain("ownerId");
  expect(ACCESSES.map((access) => policies.rule("Todo", access))).toEqual([
    FALSE,
    FALSE,
    FALSE,
    FALSE,
  ]);
  expect(policies.rule("Member", "read")).toEqual(FALSE);
  expect(policies.rule("Member", "insert")).toEqual(TRUE);
});

test("only an update has an old row", () => {
  const policy = (key: "allowUpdate" | "allowDelete" | "allowWrite"): ManifestPolicy => ({
    name: "p",
    entity: "Todo",
    allow: "true",
    [key]: "old.ownerId == data.ownerId",
  });
  const errors = (one: ManifestPolicy): number =>
    compile([one]).diagnostics.filter(({ severity }) => severity === "error").length;
  expect(errors(policy("allowUpdate"))).toBe(0);
  expect(errors(policy("allowDelete"))).toBe(1);
  expect(errors(policy("allowWrite"))).toBe(1);
});

test("P2: an update rule that reads only old. causes a warning, and is used unchanged", () => {
  const compileUpdate = (allowUpdate: string) => {
    const { policies, diagnostics } = compile(
      [
        { name: "p", entity: "Todo", allow: "data.title == 'good'", allowUpdate },
        { name: "q", entity: "Member", allow: "true" },
      ],
      { access: "public" },
    );
    const old = { ownerId: "u1", title: "good" };
    const may = compilePredicate(policies.rule("Todo", "update"));
    return {
      warnings: diagnostics.map(({ severity, code, path }) => `${severity} ${code} ${path}`),
      mayChange: may({ auth, data: { ownerId: "u2", title: "bad" }, old }),
    };
  };
  for (const onlyOld of [
    "auth.userId == old.ownerId",
    "auth.userId == old.ownerId || old.title == 'x'",
  ])
    expect(compileUpdate(onlyOld)).toEqual({
      warnings: ["warning POLICY_UPDATE_OLD_ONLY entities.Todo"],
      mayChange: true,
    });
  // A rule that reads the new row, or no row at all, is intended by the app; an id never changes.
  for (const [own, mayChange] of [
    ["auth.userId == old.ownerId && data.ownerId == old.ownerId", false],
    ["auth.userId == data.ownerId", false],
    ["auth.userId != null", true],
    ["old.id != 'x'", true],
  ] as const)
    expect(compileUpdate(own)).toEqual({ warnings: [], mayChange });
});

test("an action's policies read auth and input, and all of them must allow the call", () => {
  const { policies, diagnostics } = compile(
    [
      { name: "a", action: "pay", allow: "auth.userId == input.payer" },
      { name: "b", action: "pay", allow: "input.amount < 100" },
    ],
    { access: "public" },
  );
  expect(diagnostics).toEqual([]);
  const may = compilePredicate(policies.actionRule("pay"));
  expect(may({ auth, input: { payer: "u1", amount: 5 } })).toBe(true);
  expect(may({ auth, input: { payer: "u2", amount: 5 } })).toBe(false);
  expect(may({ auth, input: { payer: "u1", amount: 500 } })).toBe(false);
  expect(may({ auth, input: { payer: "u1", amount: ["1"] } })).toBe(false);
  expect(policies.actionRule("ping")).toEqual(TRUE);
});

test("an action's policy that is invalid or has no condition closes the action", () => {
  const wrong = compile([{ name: "a", action: "pay", allow: "data.ownerId == auth.userId" }], {
    access: "public",
  });
  expect(wrong.diagnostics.map(({ severity, path }) => [severity, path])).toEqual([
    ["error", "policies[0].allow"],
  ]);
  expect(wrong.policies.actionRule("pay")).toEqual(FALSE);
  const silent = compile([{ name: "a", action: "pay" }]);
  expect(silent.policies.actionRule("pay")).toEqual(FALSE);
  expect(silent.diagnostics.map(({ path }) => path)).toContain("actions.pay");
});

test("a date in a policy is compared in the form in which dates are stored", () => {
  const { policies } = compile([{ name: "p", entity: "Todo", allow: "data.due == '2026-01-01'" }]);
  expect(
    compilePredicate(policies.rule("Todo", "read"))({ data: { due: "2026-01-01T00:00:00.000Z" } }),
  ).toBe(true);
});

test("the readers of an entity are the read rules that read its rows, at any depth", () => {
  const { policies } = compile([
    {
      name: "p",
      entity: "Todo",
      allowRead:
        "data.title == 'x' || " +
        "!exists(Member, todoId == data.id && exists(Todo, ownerId == auth.userId))",
      allowWrite: "exists(Member, true)",
    },
    { name: "q", entity: "Member", allow: "true" },
  ]);
  expect(policies.readersOf("Member").map(({ entity, exists }) => [entity, exists.entity])).toEqual(
    [["Todo", "Member"]],
  );
  expect(policies.readersOf("Todo").map(({ entity }) => entity)).toEqual(["Todo"]);
  expect(policies.readersOf("Nothing")).toEqual([]);
});

test("a condition yields the values of which a row must have one, if there are any", () => {
  const member = { ...auth, tenantId: "t1" };
  const keys = (source: string) =>
    keysOf(parsePolicy(source), (part) => equalityKeys(part, "data", member));
  expect(keys("auth.userId == data.ownerId && data.public")).toEqual([
    { field: "ownerId", value: "u1" },
  ]);
  expect(keys("auth.userId == data.ownerId || data.tenantId == auth.tenantId")).toEqual([
    { field: "ownerId", value: "u1" },
    { field: "tenantId", value: "t1" },
  ]);
  expect(keys("data.state in ['open', null]")).toEqual([
    { field: "state", value: "open" },
    { field: "state", value: null },
  ]);
  expect(keys("auth.apiKeyId == data.ownerId")).toEqual([]);
  for (const source of [
    "auth.userId == data.ownerId || data.public",
    "!(auth.userId == data.ownerId)",
    "auth.userId != data.ownerId",
    "data.a == data.b",
    "exists(Member, userId == auth.userId)",
  ]) {
    expect(keys(source)).toBeNull();
  }
});

test("a policy of a field names an existing field, and its read rule reads only the caller", () => {
  const said = (fields: ManifestPolicy["fields"]): string[] =>
    compile([{ name: "p", entity: "Todo", allow: "true", ...(fields && { fields }) }])
      .diagnostics.filter(({ severity }) => severity === "error")
      .map(({ code, path }) => `${code} ${path}`);
  const at = "policies[0].fields";
  expect(
    said({ title: { allowRead: 'auth.hasRole("a")', allowWrite: "data.title != ''" } }),
  ).toEqual([]);
  for (const allowRead of [
    "data.title == 'x'",
    "exists(Member, userId == auth.userId)",
    "'2026-01-01T00:00:00.000Z' < now()",
  ])
    expect(said({ title: { allowRead } })).toEqual([`FIELD_POLICY_READS_ROW ${at}.title`]);
  expect(said({ titel: { allow: "true" } })).toEqual([`POLICY_FIELD_NOT_FOUND ${at}.titel`]);
  expect(said({ id: { allow: "true" } })).toEqual([`POLICY_FIELD_NOT_FOUND ${at}.id`]);
  expect(said({ title: { allowInsert: "old.title == ''" } })).toEqual([
    `POLICY_INVALID ${at}.title.allowInsert`,
  ]);
});

test("an update rule that compares a hidden old value with a written one causes a warning", () => {
  const warningsOf = (allowUpdate: string, fields: ManifestPolicy["fields"]): string[] =>
    compile([
      { name: "p", entity: "Todo", allow: "true", allowUpdate, ...(fields ? { fields } : {}) },
      { name: "q", entity: "Member", allow: "true" },
    ]).diagnostics.map(({ severity, code, path }) => `${severity} ${code} ${path}`);
  const warning = ["warning POLICY_REVEALS_FIELD entities.Todo"];
  const hidden = { title: { allowRead: "auth.isAdmin" } };
  for (const rule of [
    "data.title == old.title",
    "data.ownerId == old.ownerId && !(data.ownerId < old.title)",
    "data.ownerId in [old.title, 'x']",
  ])
    expect(warningsOf(rule, hidden)).toEqual(warning);
  const compared = { ...hidden, ownerId: { allowUpdate: "data.ownerId == old.title" } };
  expect(warningsOf("true", compared)).toEqual(warning);
  // Here callers learn nothing, or the rule is the app's own question about one row.
  for (const [rule, fields] of [
    ["data.title == old.title", undefined],
    ["data.title == old.title", { title: { allow: "auth.isAdmin" } }],
    ["data.ownerId == old.ownerId && old.title == 'draft'", hidden],
    ["data.ownerId == old.ownerId", hidden],
  ] as const)
    expect(warningsOf(rule, fields)).toEqual([]);
});
