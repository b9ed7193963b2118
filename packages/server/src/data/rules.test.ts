import { compilePredicate, hasExists, parsePolicy } from "@pylonsync/query";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import type { Access } from "../policy/policy-set.ts";
import type { StoredRow } from "../store/store.ts";
import { ADMIN, ANONYMOUS, type Caller } from "../identity/identity.ts";
import { RuleEnv } from "./rules.ts";
import { openAppData, user, type AppData } from "./testing/app-data.ts";

const RULES = {
  Open: "true",
  Own: "auth.userId == data.ownerId",
  Due: "data.due < now()",
  Team: "exists(Member, teamId == data.teamId && userId == auth.userId)",
  Both: "auth.userId == data.ownerId || exists(Member, teamId == data.teamId)",
} as const;
const NAMES = Object.keys(RULES) as (keyof typeof RULES)[];

const manifest = buildManifest({
  name: "rules",
  version: "1.0.0",
  entities: [
    ...NAMES.map((name) =>
      entity(name, {
        ownerId: field.string().optional(),
        teamId: field.string().optional(),
        due: field.datetime().optional(),
      }),
    ),
    entity("Member", { teamId: field.string(), userId: field.string() }),
  ],
  policies: NAMES.map((name) =>
    policy({ name: name.toLowerCase(), entity: name, allowRead: RULES[name] }),
  ),
});

let app: AppData;
beforeAll(async () => {
  app = await openAppData(manifest);
});
afterAll(() => app[Symbol.asyncDispose]());

const NOW = Date.parse("2026-01-31T12:00:00Z");
const callers: fc.Arbitrary<Caller> = fc.constantFrom(user("ann"), user("bob"), ANONYMOUS, ADMIN);
const rows: fc.Arbitrary<StoredRow> = fc.record({
  id: fc.constant("row"),
  ownerId: fc.constantFrom("ann", "bob", null),
  teamId: fc.constantFrom("red", "blue", null),
  due: fc.constantFrom("2026-01-31T11:59:59.999Z", "2026-01-31T12:00:00.000Z", null),
});
const members = fc.array(
  fc.record({ teamId: fc.constantFrom("red", "blue"), userId: fc.constantFrom("ann", "bob") }),
  { maxLength: 3 },
);

test("a rule has the same result for a row in memory and for a row in the database", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...NAMES),
      rows,
      members,
      callers,
      async (name, row, team, caller) => {
        await app.clear();
        await app.store.transact(async (tx) => {
          await tx.insert(name, row);
          for (const [index, member] of team.entries())
            await tx.insert("Member", { id: `m${index}`, ...member });
        });
        const { rules } = app.model;
        const may = await rules.allows(app.store, name, "read", new RuleEnv(caller, NOW, row));
        const where = rules.readable(name, caller, new Date(NOW).toISOString());
        const found = await app.store.select({ entity: name, where });
        expect(found.length).toBe(may ? 1 : 0);
        const isMember = team.some(
          ({ teamId, userId }) => teamId === row["teamId"] && userId === caller.userId,
        );
        const isOwner = caller.userId !== null && row["ownerId"] === caller.userId;
        const expected: Readonly<Record<keyof typeof RULES, boolean>> = {
          Open: true,
          Own: isOwner,
          Due: row["due"] !== null && Date.parse(String(row["due"])) < NOW,
          Team: isMember,
          Both: isOwner || team.some(({ teamId }) => teamId === row["teamId"]),
        };
        expect(may).toBe(caller.isAdmin || expected[name]);
      },
    ),
    { numRuns: 80 },
  );
});

test("a rule that looks at no other rows is a function with the same result", () => {
  const { rules } = app.model;
  for (const name of NAMES) {
    const expr = parsePolicy(RULES[name]);
    const predicate = rules.readPredicate(name);
    expect(predicate === undefined).toBe(hasExists(expr));
    expect(rules.isLocal(name)).toBe(!hasExists(expr));
    if (predicate === undefined) continue;
    const plain = compilePredicate(expr);
    fc.assert(
      fc.property(rows, callers, (row, caller) => {
        const env = new RuleEnv(caller, NOW, row);
        expect(predicate(env)).toBe(plain({ auth: caller, data: row, now: env.now }));
      }),
    );
  }
});

test("only the admin has access to an entity without a policy", async () => {
  const accesses: readonly Access[] = ["insert", "update", "delete"];
  const row = { id: "row", ownerId: "ann", teamId: null, due: null };
  for (const access of accesses) {
    const env = new RuleEnv(user("ann"), NOW, row, row);
    expect(await app.model.rules.allows(app.store, "Open", access, env)).toBe(false);
    const admin = new RuleEnv(ADMIN, NOW, row, row);
    expect(await app.model.rules.allows(app.store, "Open", access, admin)).toBe(true);
  }
});
