import { expect, test } from "bun:test";
import { ANONYMOUS } from "../../identity/identity.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { scratchStore, type Scratch } from "../../store/testing/scratch-store.ts";
import { Sessions } from "../sessions/sessions.ts";
import { ApiKeys } from "./api-keys.ts";

const NEW = { name: "ci", scopes: ["read"], expiresAt: null };

async function signIn(
  { store, platform }: Scratch,
  tenantId: string | null = null,
): Promise<{ readonly keys: ApiKeys; readonly sessionId: string; readonly sessions: Sessions }> {
  const sessions = new Sessions(store, platform, []);
  const token = await sessions.create("ann", {
    isGuest: false,
    lifetimeMs: 60_000,
    roles: ["editor"],
    tenantId,
  });
  const sessionId = (await sessions.identify(token)).sessionId ?? "";
  return { keys: new ApiKeys(store, sessions, platform), sessionId, sessions };
}

test("a key acts as the user of its session, within its scopes, until it ends", async () => {
  await using scratch = scratchStore();
  const { keys, sessionId, sessions } = await signIn(scratch, "acme");
  const expiresAt = scratch.platform.now() + 5_000;
  const { key, info } = await keys.create(sessionId, { ...NEW, expiresAt });
  expect(info).toMatchObject({ name: "ci", expires_at: "2026-01-01T00:00:05.000Z", used_at: null });
  await sessions.end(sessionId);
  expect((await keys.identify(key)).caller).toMatchObject({
    userId: "ann",
    tenantId: "acme",
    roles: ["editor"],
    apiKeyId: info.id,
    apiKeyScopes: ["read"],
  });
  expect(await keys.list("ann")).toMatchObject([{ used_at: "2026-01-01T00:00:00.000Z" }]);
  scratch.advance(5_000);
  await expect(keys.identify(key)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});

test("a guessed or changed key is unknown; the database does not hold the key", async () => {
  await using scratch = scratchStore();
  const { keys, sessionId } = await signIn(scratch);
  const { key, info } = await keys.create(sessionId, NEW);
  for (const wrong of ["pk.", "pk..", `pk.${info.id}.`, `pk.${info.id}.x`, `${key}x`, "pk.x.y"])
    await expect(keys.identify(wrong)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  expect([keys.matches(key), keys.matches("a session's token")]).toEqual([true, false]);
  const [row] = await SYSTEM_TABLES.apiKeys.select(scratch.store);
  expect(JSON.stringify(row)).not.toContain(key.split(".")[2] ?? key);
});

test("a key is ended only by its user, on all replicas and with its connections", async () => {
  await using scratch = scratchStore();
  const { keys, sessionId, sessions } = await signIn(scratch);
  const there = new ApiKeys(scratch.store, sessions, scratch.platform);
  const { key, info } = await keys.create(sessionId, NEW);
  await there.identify(key);
  const ended: string[] = [];
  there.onEnd((id) => ended.push(id));
  expect(await keys.end("ben", info.id)).toBe(false);
  expect(await keys.end("ann", info.id)).toBe(true);
  await scratch.store.settle();
  expect(ended).toEqual([info.id]);
  await expect(there.identify(key)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  expect(await keys.sessionStatus(info.id, ANONYMOUS)).toBe("revoked");
});

test("setting the clock back does not extend the time for which a key is cached", async () => {
  await using scratch = scratchStore();
  const { keys, sessionId } = await signIn(scratch);
  const { key, info } = await keys.create(sessionId, NEW);
  await keys.identify(key);
  // As if another replica had ended it, and its notification were late.
  await scratch.store.transact((tx) => SYSTEM_TABLES.apiKeys.delete(tx, info.id));
  scratch.setBack(60 * 60_000);
  scratch.advance(500);
  await expect(keys.identify(key)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});

test("the keys of one tenant end, and the others remain", async () => {
  await using scratch = scratchStore();
  const { keys, sessionId, sessions } = await signIn(scratch, "acme");
  await keys.create(sessionId, { ...NEW, name: "of acme" });
  await sessions.update(sessionId, { tenantId: null });
  await keys.create(sessionId, { ...NEW, name: "of none" });
  await keys.endAll("ann", "acme");
  expect(await keys.list("ann")).toMatchObject([{ name: "of none" }]);
  await keys.endAll("ann");
  expect(await keys.list("ann")).toEqual([]);
  await sessions.end(sessionId);
  await expect(keys.create(sessionId, NEW)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});
