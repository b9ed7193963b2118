import { expect, test } from "bun:test";
import fc from "fast-check";
import type { ChangeRecord } from "./store.ts";
import {
  defineTable,
  flag,
  int,
  isoTime,
  json,
  nullable,
  oneOf,
  text,
  time,
  transactById,
} from "./system-table.ts";
import { SYSTEM_TABLES } from "./system-tables.ts";
import { scratchStore } from "./testing/scratch-store.ts";

const { sessions: SESSIONS, audit: AUDIT, attempts: ATTEMPTS } = SYSTEM_TABLES;

/**
 * The tables that older versions created in databases: the shape of an existing table is never
 * changed automatically.
 */
const STORED = [
  "_pylon_sessions id:id userId:string isGuest:bool tenantId:string roles:string " +
    "createdAt:datetime expiresAt:datetime publicId:string device:string seenAt:datetime " +
    "isTrustedDevice:bool claims:string indexed userId",
  "_pylon_user_epochs id:id epoch:string closedUntil:datetime becomes:string " +
    "at:datetime indexed at",
  "_pylon_user_claims id:id claims:string indexed ",
  "_pylon_verified_emails id:id email:string indexed ",
  "_pylon_accounts id:id provider:string providerId:string userId:string email:string " +
    "tokens:string expiresAt:datetime createdAt:datetime indexed userId",
  "_pylon_passwords id:id hash:string indexed ",
  "_pylon_one_time_tokens id:id data:string expiresAt:datetime indexed expiresAt",
  "_pylon_codes id:id codeHash:string data:string attempts:int sentAt:datetime " +
    "expiresAt:datetime indexed expiresAt",
  "_pylon_attempts id:id count:int expiresAt:datetime indexed expiresAt",
  "_pylon_totp id:id secret:string isOn:bool step:int indexed ",
  "_pylon_backup_codes id:id userId:string indexed userId",
  "_pylon_trusted_devices id:id userId:string device:string createdAt:datetime " +
    "expiresAt:datetime indexed userId expiresAt",
  "_pylon_passkeys id:id userId:string name:string publicKey:string counter:int " +
    "transports:string createdAt:datetime usedAt:datetime indexed userId",
  "_pylon_api_keys id:id userId:string tenantId:string roles:string name:string " +
    "hash:string scopes:string createdAt:datetime expiresAt:datetime usedAt:datetime " +
    "claims:string indexed userId",
  "_pylon_mcp_clients id:id name:string redirectUris:string createdAt:datetime " +
    "expiresAt:datetime indexed expiresAt",
  "_pylon_mcp_grants id:id userId:string sessionPublicId:string clientId:string " +
    "clientName:string scopes:string resource:string accessHash:string " +
    "accessExpiresAt:datetime familyHash:string refreshHash:string createdAt:datetime " +
    "usedAt:datetime expiresAt:datetime indexed userId expiresAt",
  "_pylon_organizations id:id name:string createdAt:datetime indexed ",
  "_pylon_members id:id organizationId:string userId:string role:string " +
    "createdAt:datetime indexed organizationId userId",
  "_pylon_invitations id:id organizationId:string email:string role:string " +
    "invitedBy:string tokenHash:string createdAt:datetime expiresAt:datetime indexed " +
    "organizationId tokenHash",
  "_pylon_audit id:id event:string userId:string tenantId:string address:string " +
    "device:string detail:string at:datetime indexed userId tenantId at",
  "_pylon_ops id:id answer:string request:string at:datetime subject:string size:int " +
    "indexed at subject,at",
  "_pylon_files id:id ownerId:string name:string contentType:string size:int " +
    "checksum:string state:string boundEntity:string boundField:string linkedRow:string " +
    "uploadKey:string multipartId:string uploadOffset:int uploadParts:string " +
    "uploadClaim:string createdAt:datetime orphanedAt:datetime indexed " +
    "state orphanedAt ownerId",
  "_pylon_documents id:id entity:string rowId:string version:int snapshotVersion:int " +
    "tailVersion:int snapshotBytes:int updateBytes:int state:string texts:string indexed rowId",
  "_pylon_document_parts id:id documentId:string version:int isSnapshot:bool bytes:string " +
    "indexed documentId,version",
  "_pylon_read_rules id:id digest:string indexed ",
  "_pylon_migrations id:id at:datetime tookMs:int appVersion:string pylonVersion:string " +
    "steps:string indexed at",
  "_pylon_backfills id:id after:string filled:int doneAt:datetime indexed ",
  "_pylon_data_migrations id:id after:string last:string rows:int appVersion:string " +
    "startedAt:datetime doneAt:datetime indexed ",
  "_pylon_crons id:id schedule:string nextAt:datetime lastAt:datetime indexed ",
  "_pylon_workflow_runs id:id name:string version:int input:string status:string " +
    "output:string error:string failedStep:int createdAt:datetime startedAt:datetime " +
    "finishedAt:datetime wakeAt:datetime waitingFor:string jobId:string signals:int " +
    "maxRetries:int parentId:string generation:int state:string startedBy:string " +
    "indexed status createdAt finishedAt parentId",
  "_pylon_workflow_steps id:id runId:string position:int kind:string name:string " +
    "status:string seq:int output:string error:string attempts:int startedAt:datetime " +
    "endedAt:datetime wakeAt:datetime childId:string indexed runId",
  "_pylon_workflow_events id:id runId:string name:string data:string at:datetime " +
    "indexed runId",
  "_pylon_shards id:id state:string tick:int savedAt:datetime owner:string " +
    "leaseUntil:datetime indexed savedAt",
  "_pylon_shard_replicas id:id address:string leaseUntil:datetime indexed leaseUntil",
  "_pylon_shard_replays id:id shard:string startedAt:datetime endedAt:datetime " +
    "expiresAt:datetime fromTick:int toTick:int tickRate:int code:string bytes:int " +
    "access:string openAt:datetime players:string indexed shard,startedAt startedAt expiresAt",
  "_pylon_match_tickets id:id queue:string status:string size:int players:string " +
    "accepted:string rating:int createdAt:datetime expiresAt:datetime matchId:string " +
    "acceptUntil:datetime indexed status,queue,createdAt expiresAt matchId",
  "_pylon_match_players id:id ticketId:string at:datetime indexed at",
  "_pylon_shard_secrets id:id secret:string indexed ",
  "_pylon_file_secrets id:id secret:string indexed ",
  "_pylon_queues id:id takes:int startedAt:string indexed ",
  "_pylon_jobs id:id name:string args:string queue:string priority:int status:string " +
    "attempts:int maxAttempts:int timeoutMs:int createdAt:datetime startedAt:datetime " +
    "finishedAt:datetime dueAt:datetime readyKey:string laneKey:string lease:string " +
    "error:string progress:string batchId:string batch:string trace:string startedBy:string " +
    "isFixed:bool " +
    "indexed status,createdAt,id dueAt,id readyKey,id finishedAt batchId,status",
  "_pylon_isolated_functions id:id source:string reason:string at:datetime indexed ",
];

test("the tables are stored as in all earlier versions", () => {
  const shapes = Object.values(SYSTEM_TABLES).map(
    ({ name, fields, indexed }) =>
      `${name} ${[...fields].map(([field, kind]) => `${field}:${kind}`).join(" ")} ` +
      `indexed ${indexed.map((columns) => columns.join(",")).join(" ")}`,
  );
  expect(shapes).toEqual(STORED);
});

const LAST = Date.parse("9999-12-31T23:59:59.999Z");
const moment = fc.integer({ min: 0, max: LAST });
const words = fc.string({ unit: "grapheme" }).filter((value) => !value.includes("\0"));
const session = fc.record({
  id: fc.uuid(),
  userId: words,
  isGuest: fc.boolean(),
  tenantId: fc.option(words),
  roles: fc.array(words),
  createdAt: moment,
  expiresAt: moment,
  publicId: fc.option(words),
  device: fc.option(words),
  seenAt: fc.option(moment),
  isTrustedDevice: fc.option(fc.boolean()),
  claims: fc.option(fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), words)),
});

test("a row is read from the database as it was written", async () => {
  await using scratch = scratchStore();
  const { store } = scratch;
  await fc.assert(
    fc.asyncProperty(session, session, async (row, next) => {
      await transactById(store, (tx) => SESSIONS.put(tx, row));
      expect(await SESSIONS.get(store, row.id)).toEqual(row);
      const { id: _id, ...patch } = next;
      expect(await transactById(store, (tx) => SESSIONS.update(tx, row.id, patch))).toBe(true);
      expect(await SESSIONS.get(store, row.id)).toEqual({ ...patch, id: row.id });
      await transactById(store, (tx) => SESSIONS.put(tx, row));
      expect(await SESSIONS.select(store, { where: SESSIONS.is("id", row.id) })).toEqual([row]);
      expect(await transactById(store, (tx) => SESSIONS.delete(tx, row.id))).toBe(true);
      expect(await SESSIONS.get(store, row.id)).toBeNull();
    }),
    { numRuns: 60 },
  );
});

test("a row of an older version has null in the columns that were added later", async () => {
  await using scratch = scratchStore();
  const { store } = scratch;
  const at = "2026-01-01T00:00:00.000Z";
  await store.transact((tx) =>
    tx.insert(SESSIONS.name, {
      id: "old",
      userId: "ann",
      isGuest: false,
      tenantId: null,
      roles: '["admin"]',
      createdAt: at,
      expiresAt: at,
      publicId: null,
      device: null,
      seenAt: null,
      isTrustedDevice: null,
    }),
  );
  expect(await SESSIONS.get(store, "old")).toMatchObject({
    roles: ["admin"],
    createdAt: Date.parse(at),
    seenAt: null,
    isTrustedDevice: null,
  });
});

function byTime(one: number, other: number): number {
  return one - other;
}

test("conditions compare values in the form in which the database stores them", async () => {
  await using scratch = scratchStore();
  const { store } = scratch;
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(moment, { maxLength: 8 }), moment, async (times, bound) => {
      await store.transact(async (tx) => {
        await ATTEMPTS.deleteWhere(tx, ATTEMPTS.isUpTo("expiresAt", LAST));
        for (const [count, expiresAt] of times.entries())
          await ATTEMPTS.insert(tx, { id: `a${count}`, count, expiresAt });
      });
      const found = async (where: ReturnType<typeof ATTEMPTS.is>): Promise<number[]> =>
        (await ATTEMPTS.select(store, { where }))
          .map(({ expiresAt }) => expiresAt)
          .toSorted(byTime);
      expect(await found(ATTEMPTS.isUpTo("expiresAt", bound))).toEqual(
        times.filter((at) => at <= bound).toSorted(byTime),
      );
      expect(await found(ATTEMPTS.isBelow("expiresAt", bound))).toEqual(
        times.filter((at) => at < bound).toSorted(byTime),
      );
      expect(await ATTEMPTS.count(store)).toBe(times.length);
    }),
    { numRuns: 40 },
  );
});

test("an invalid value is rejected with the column's name, and never shown", async () => {
  await using scratch = scratchStore();
  const { store } = scratch;
  await store.transact((tx) =>
    tx.insert(SYSTEM_TABLES.files.name, {
      id: "odd",
      ownerId: null,
      name: "a",
      contentType: "text/plain",
      size: 1,
      checksum: null,
      state: "a secret",
      boundEntity: null,
      boundField: null,
      linkedRow: null,
      uploadKey: null,
      multipartId: null,
      uploadOffset: null,
      uploadParts: null,
      uploadClaim: null,
      createdAt: isoTime(0),
      orphanedAt: null,
    }),
  );
  const failure = await SYSTEM_TABLES.files.get(store, "odd").catch((error: unknown) => error);
  expect(String(failure)).toBe("TypeError: _pylon_files.state does not have its declared type.");
});

test("each kind of column accepts its declared values, and no others", () => {
  expect(oneOf("a", "b").encode("b")).toBe("b");
  expect(time().encode(0)).toBe("1970-01-01T00:00:00.000Z");
  expect(json<readonly number[]>().decode("[1]")).toEqual([1]);
  expect(nullable(int()).decode(null)).toBeNull();
  const refusals: (() => unknown)[] = [
    () => text().decode(null),
    () => text().encode(1),
    () => int().decode("1"),
    () => flag().decode(1),
    () => time().decode("yesterday"),
    () => time().encode("2026-01-01"),
    () => time().encode(Number.NaN),
    () => json().decode(null),
    () => oneOf("a", "b").decode("c"),
    () => nullable(text()).encode(1),
  ];
  for (const refusal of refusals) expect(refusal).toThrow();
});

test("an announced change reaches the followers, without the row", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const seen: ChangeRecord[] = [];
  store.follow((changes) => seen.push(...changes));
  await store.transact((tx) => AUDIT.announce(tx, "gone", "delete", platform.now()));
  await store.settle();
  expect(seen).toMatchObject([
    { entity: AUDIT.name, rowId: "gone", kind: "delete", before: null, after: null },
  ]);
});

test("an unknown column of a table is an error of the caller", async () => {
  await using scratch = scratchStore();
  const table = defineTable("_pylon_audit", { event: text() });
  const wrong: object = { event: "x", other: 1 };
  await expect(scratch.store.transact((tx) => table.update(tx, "a", wrong))).rejects.toThrow(
    "_pylon_audit has no column other.",
  );
});
