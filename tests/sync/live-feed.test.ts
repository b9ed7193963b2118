import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import fc from "fast-check";
import { TestClient } from "../support/client.ts";
import { readableRows, Replica, type Tables } from "../support/feed-oracle.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// Compares what the live feed sends to replicas with a scan of all rows by the simplest evaluator.

const SEED = 20_261_128;
const RULES = process.env["PYLON_TEST_STORE"] === "postgres" ? 10 : 20;
const STEPS = process.env["PYLON_TEST_STORE"] === "postgres" ? 40 : 100;
const TEAMS = ["t1", "t2"];

interface Op {
  readonly op: "insert" | "update" | "delete";
  readonly table: number;
  readonly row: number;
  readonly team: string;
  readonly user: number;
  readonly level: number;
  readonly flag: boolean;
}

/** `Self` stands for the entity of the rule. */
function conditions(over: string): string[] {
  const team = ["teamId == data.teamId", "teamId == 't1'"];
  if (over === "Member")
    return [
      ...team,
      "userId == auth.userId",
      "level > 1",
      "level == 1",
      "level == 2",
      "userId == data.ownerId",
    ];
  if (over === "Flag") return [...team, "isOn", "!isOn"];
  return [...team, "ownerId == auth.userId", "isPublic", "id == data.id"];
}

const plainExists = (over: string): fc.Arbitrary<string> =>
  fc
    .subarray(conditions(over), { minLength: 1, maxLength: 3 })
    .map((parts) => `exists(${over}, ${parts.join(" && ")})`);
const anyExists: fc.Arbitrary<string> = fc
  .constantFrom("Member", "Member", "Member", "Flag", "Self")
  .chain((over) =>
    fc.oneof(
      { weight: 4, arbitrary: plainExists(over) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(
            fc.constantFrom(...conditions(over)),
            fc.constantFrom("&& ", "&& !", "|| "),
            fc.constantFrom("Member", "Flag", "Self").chain(plainExists),
          )
          .map(([own, joint, inner]) => `exists(${over}, ${own} ${joint}${inner})`),
      },
    ),
  );
const part: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: anyExists },
  { weight: 1, arbitrary: anyExists.map((text) => `!${text}`) },
  { weight: 1, arbitrary: fc.constantFrom("data.isPublic", "data.ownerId == auth.userId") },
);
const rule: fc.Arbitrary<string> = fc
  .tuple(
    anyExists,
    fc.array(fc.tuple(fc.constantFrom("&&", "||"), part), { minLength: 1, maxLength: 3 }),
    fc.boolean(),
  )
  .map(([first, others, isNegated]) => {
    const text = others.reduce((sum, [joint, next]) => `(${sum}) ${joint} ${next}`, first);
    return isNegated ? `!(${text})` : text;
  });
/** The rules of the review, and generated ones. */
const rules = [
  "exists(Member, teamId == data.teamId && userId == auth.userId) && (data.isPublic || " +
    "exists(Member, teamId == data.teamId && userId == auth.userId && level > 1))",
  "exists(Member, teamId == data.teamId && level == 1) || exists(Member, teamId == " +
    "data.teamId && userId == auth.userId)",
  "exists(Member, teamId == data.teamId && level == 1) && exists(Member, teamId == " +
    "data.teamId && level == 2)",
  "exists(Self, teamId == data.teamId && ownerId == auth.userId)",
  ...fc.sample(rule, { seed: SEED, numRuns: RULES }),
].map((text, index) => text.replaceAll("Self", `Doc${index}`));
const docs = rules.map((_, index) => `Doc${index}`);

const op: fc.Arbitrary<Op> = fc.record({
  op: fc.constantFrom("insert", "update", "update", "delete"),
  // Memberships and flags more often than any other table.
  table: fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constant(1) },
    { weight: 2, arbitrary: fc.integer({ min: 2, max: docs.length + 1 }) },
  ),
  row: fc.nat(100),
  team: fc.constantFrom(...TEAMS),
  user: fc.nat(2),
  level: fc.integer({ min: 1, max: 3 }),
  flag: fc.boolean(),
});
const steps = fc.sample(
  fc.record({
    ops: fc.oneof(
      { weight: 3, arbitrary: fc.tuple(op) },
      { weight: 1, arbitrary: fc.array(op, { minLength: 2, maxLength: 4 }) },
    ),
    isAway: fc.constantFrom(true, false, false, false),
  }),
  { seed: SEED + 1, numRuns: STEPS },
);

const app = appOf(
  buildManifest({
    name: "rules",
    version: "1.0.0",
    entities: [
      entity("Member", { teamId: field.string(), userId: field.string(), level: field.int() }),
      entity("Flag", { teamId: field.string(), isOn: field.bool() }),
      entity("Mark", { n: field.int() }),
      ...docs.map((name) =>
        entity(name, { teamId: field.string(), ownerId: field.string(), isPublic: field.bool() }),
      ),
    ],
    policies: [
      policy({ name: "members", entity: "Member", allow: "auth.isAdmin" }),
      policy({ name: "flags", entity: "Flag", allow: "auth.isAdmin" }),
      policy({ name: "marks", entity: "Mark", allowRead: "true", allowWrite: "auth.isAdmin" }),
      ...rules.map((allowRead, index) =>
        policy({
          name: `docs${index}`,
          entity: docs[index] ?? "",
          allowRead,
          allowWrite: "auth.isAdmin",
        }),
      ),
    ],
  }),
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer(app);
});
afterAll(() => server.stop());

/** Writes to the server and to its own tables. */
class Writer {
  readonly tables: Tables = new Map(
    ["Member", "Flag", "Mark", ...docs].map((name) => [name, new Map()]),
  );
  readonly #admin: TestClient;
  readonly #users: readonly string[];
  #minted = 0;

  constructor(admin: TestClient, users: readonly string[]) {
    this.#admin = admin;
    this.#users = users;
  }

  /** @returns the id of a `Mark` that is written after the operations */
  async commit(ops: readonly Op[]): Promise<string> {
    const mark = { id: this.#newId("m"), n: this.#minted };
    const { body, text } = await this.#admin.request("POST", "/api/transact", [
      ...ops.map((each) => this.#write(each)),
      { op: "insert", entity: "Mark", data: mark },
    ]);
    if (body["committed"] !== true) throw new Error(text);
    return mark.id;
  }

  /** The operation for the server. It is applied to the own tables as well. */
  #write({ op: kind, table, row, team, user, level, flag }: Op): object {
    const name = ["Member", "Flag", ...docs][table] ?? "";
    const rows = this.tables.get(name) ?? new Map<string, never>();
    const userId = this.#users[user] ?? "";
    const data =
      table === 0
        ? { teamId: team, userId, level }
        : table === 1
          ? { teamId: team, isOn: flag }
          : { teamId: team, ownerId: userId, isPublic: flag };
    const id = [...rows.keys()][row % Math.max(rows.size, 1)];
    if (kind === "insert" || id === undefined) {
      const newId = this.#newId("r");
      rows.set(newId, { id: newId, ...data } as never);
      return { op: "insert", entity: name, data: { id: newId, ...data } };
    }
    if (kind === "delete") {
      rows.delete(id);
      return { op: "delete", entity: name, id };
    }
    rows.set(id, { id, ...data } as never);
    return { op: "update", entity: name, id, data };
  }

  #newId(prefix: string): string {
    return `${prefix}${(this.#minted += 1)}`;
  }
}

/** Inserts a row of each user into each table with a generated policy. */
async function writeFirstRows(writer: Writer): Promise<void> {
  for (const [table] of docs.entries())
    await writer.commit(
      [0, 1, 2].map((user) => ({
        op: "insert",
        row: 0,
        level: 1,
        table: table + 2,
        team: TEAMS[user % 2] ?? "",
        user,
        flag: user === 0,
      })),
    );
}

test("L1: replicas hold what generated policies allow, whatever is written", async () => {
  const readers = [
    await TestClient.guest(server.url),
    await TestClient.guest(server.url),
    new TestClient(server.url, null),
  ];
  const writer = new Writer(
    new TestClient(server.url, ADMIN_TOKEN),
    readers.map(({ userId }) => userId),
  );
  await writeFirstRows(writer);

  const replicas = readers.map((reader) => new Replica(reader));
  await Promise.all(replicas.map((replica) => replica.begin()));
  for (const [index, { ops, isAway }] of steps.entries()) {
    const before = replicas.map(({ resyncs }) => resyncs);
    if (isAway) for (const replica of replicas) replica.disconnect();
    const mark = await writer.commit(ops);
    for (const replica of replicas) {
      if (isAway) await replica.connect();
      await replica.reach("Mark", mark);
    }
    for (const [reader, replica] of replicas.entries()) {
      const about = `seed ${SEED}, step ${index} ${JSON.stringify(ops)}, reader ${reader}`;
      expect([about, replica.complaints]).toEqual([about, []]);
      // A single change is never too much to send.
      const told = replica.resyncs - (before[reader] ?? 0);
      if (ops.length === 1 && !isAway) expect([about, told]).toEqual([about, 0]);
      for (const [at, name] of docs.entries()) {
        const rule = rules[at] ?? "";
        const expected = readableRows(writer.tables, name, rule, readers[reader]?.userId || null);
        expect([about, rule, replica.rows(name)]).toEqual([about, rule, expected]);
      }
    }
  }
  for (const replica of replicas) replica.disconnect();
});
