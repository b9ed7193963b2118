import { expect, test } from "bun:test";
import fc from "fast-check";
import { scratchStore, type Scratch } from "../../store/testing/scratch-store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { Sessions } from "./sessions.ts";

const HOUR_MS = 60 * 60_000;
const USER = { isGuest: false, lifetimeMs: HOUR_MS };

function open({ store, platform }: Scratch, idleMs?: number): Sessions {
  return new Sessions(
    store,
    platform,
    ["the admin's token"],
    idleMs === undefined ? {} : { idleMs: () => idleMs },
  );
}

async function idOf(sessions: Sessions, token: string): Promise<string> {
  return (await sessions.identify(token)).sessionId ?? "";
}

test("a token identifies its user until the session expires", async () => {
  await using scratch = scratchStore();
  const sessions = open(scratch);
  const token = await sessions.create("ann", { ...USER, roles: ["editor"], tenantId: "acme" });
  expect((await sessions.identify(token)).caller).toMatchObject({
    userId: "ann",
    isAdmin: false,
    isGuest: false,
    roles: ["editor"],
    tenantId: "acme",
  });
  scratch.advance(HOUR_MS);
  await expect(sessions.identify(token)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  expect(await sessions.list("ann")).toEqual([]);
  expect(await sessions.forgetExpired()).toBe(1);
});

test("a session is cached when it was looked up, until it changes", async () => {
  await using scratch = scratchStore();
  const sessions = open(scratch);
  const token = await sessions.create("ann", USER);
  expect(sessions.known(token)).toBeUndefined();
  const identity = await sessions.identify(token);
  expect(sessions.known(token)).toBe(identity);
  expect(sessions.isCurrent(identity)).toBe(true);
  expect(sessions.isCurrent({ ...identity })).toBe(false);
  await sessions.end(identity.sessionId ?? "");
  expect(sessions.known(token)).toBeUndefined();
  expect(sessions.isCurrent(identity)).toBe(false);

  const short = await sessions.create("ann", { ...USER, lifetimeMs: 1_000 });
  const soonOver = await sessions.identify(short);
  expect(sessions.known(short)).toBe(soonOver);
  scratch.advance(1_000);
  expect(sessions.known(short)).toBeUndefined();
  expect(sessions.isCurrent(soonOver)).toBe(false);

  await sessions.identify("the admin's token");
  expect(sessions.known("the admin's token")).toBeUndefined();
  expect(sessions.known("x")).toBeUndefined();
});

test("setting the clock back does not extend the time for which a session is cached", async () => {
  await using scratch = scratchStore();
  const sessions = open(scratch);
  const token = await sessions.create("ann", USER);
  const id = await idOf(sessions, token);
  // As if another replica had ended it, and its notification were late.
  await scratch.store.transact((tx) => SYSTEM_TABLES.sessions.delete(tx, id));
  scratch.setBack(HOUR_MS);
  expect(sessions.known(token)).toBeDefined();
  scratch.advance(500);
  await expect(sessions.identify(token)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});

test("identifies the admin's token, no token, and an unknown token", async () => {
  await using scratch = scratchStore();
  const sessions = open(scratch);
  expect((await sessions.identify("the admin's token")).caller.isAdmin).toBe(true);
  expect((await sessions.identify(null)).caller.userId).toBeNull();
  await expect(sessions.identify("x")).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  const without = new Sessions(scratch.store, scratch.platform, []);
  await expect(without.identify("")).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});

test("the database does not contain the token, and the public id gives no access", async () => {
  await using scratch = scratchStore();
  const sessions = open(scratch);
  const token = await sessions.create("ann", USER);
  const [row] = await SYSTEM_TABLES.sessions.select(scratch.store);
  expect(JSON.stringify(row)).not.toContain(token);
  await expect(sessions.identify(row?.publicId ?? "")).rejects.toThrow();
  await expect(sessions.identify(row?.id ?? "")).rejects.toThrow();
});

test("a session that ends on one replica ends on the other, which notifies sockets", async () => {
  await using scratch = scratchStore();
  const [here, there] = [open(scratch), open(scratch)];
  const token = await here.create("ann", USER);
  const id = await idOf(there, token);
  const ended: string[] = [];
  const stop = there.onEnd((sessionId) => ended.push(sessionId));
  expect(await here.end(id)).toBe(true);
  await scratch.store.settle();
  expect(ended).toEqual([id]);
  await expect(there.identify(token)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  expect(await here.end(id)).toBe(false);
  stop();
});

test("changed rights of a session take effect immediately, on all replicas", async () => {
  await using scratch = scratchStore();
  const [here, there] = [open(scratch), open(scratch)];
  const token = await here.create("ann", USER);
  const { caller, sessionId } = await there.identify(token);
  const id = sessionId ?? "";
  expect(await there.sessionStatus(id, caller)).toBe("valid");
  await here.update(id, { roles: ["editor"] });
  await scratch.store.settle();
  expect(await there.sessionStatus(id, caller)).toBe("changed");
  await here.updateAll("ann", () => ({ tenantId: "acme" }));
  await scratch.store.settle();
  expect((await there.identify(token)).caller).toMatchObject({
    roles: ["editor"],
    tenantId: "acme",
  });
  await here.end(id);
  await scratch.store.settle();
  expect(await there.sessionStatus(id, caller)).toBe("revoked");
});

test("a new token replaces the old one, and keeps the user and the creation time", async () => {
  await using scratch = scratchStore();
  const sessions = open(scratch);
  const token = await sessions.create("ann", { ...USER, device: "Firefox", roles: ["a"] });
  const [before] = await sessions.list("ann");
  scratch.advance(1000);
  const rotated = await sessions.rotate(before?.id ?? "", HOUR_MS, ({ roles }) => ({
    roles: [...roles, "b"],
  }));
  await expect(sessions.identify(token)).rejects.toThrow();
  expect((await sessions.identify(rotated?.token ?? "")).caller.roles).toEqual(["a", "b"]);
  const [after] = await sessions.list("ann");
  expect(after).toMatchObject({
    publicId: before?.publicId,
    createdAt: before?.createdAt,
    device: "Firefox",
  });
  expect(after?.expiresAt).toBe(scratch.platform.now() + HOUR_MS);
  expect(await sessions.rotate(before?.id ?? "", HOUR_MS)).toBeNull();
});

test("a session ends when it is unused for long enough; use extends it", async () => {
  await using scratch = scratchStore();
  const sessions = open(scratch, 10 * 60_000);
  const [idle, used] = [await sessions.create("ann", USER), await sessions.create("ann", USER)];
  for (let minutes = 0; minutes < 12; minutes += 4) {
    scratch.advance(4 * 60_000);
    await sessions.identify(used);
  }
  await expect(sessions.identify(idle)).rejects.toThrow();
  expect((await sessions.identify(used)).caller.userId).toBe("ann");
});

test("a sign-in that was in progress when the sessions were revoked gets none", async () => {
  await using scratch = scratchStore();
  const sessions = open(scratch);
  const epoch = await sessions.epochOf("ann");
  await sessions.endAll("ann");
  await expect(sessions.create("ann", { ...USER, epoch })).rejects.toMatchObject({
    code: "UNAUTHORIZED",
  });
  const now = await sessions.epochOf("ann");
  await sessions.create("ann", { ...USER, epoch: now });
  await sessions.withLockedAccount("ann", async () => {
    const inside = await sessions.epochOf("ann");
    await expect(sessions.create("ann", { ...USER, epoch: inside })).rejects.toThrow();
    expect(await sessions.list("ann")).toEqual([]);
  });
  await sessions.create("ann", { ...USER, epoch: await sessions.epochOf("ann") });
});

test("a guest becomes one user, once", async () => {
  await using scratch = scratchStore();
  const sessions = open(scratch);
  const { userId: guest } = await sessions.createGuest(HOUR_MS, "");
  await sessions.become(guest, "ann");
  await sessions.become(guest, "ann");
  await expect(sessions.become(guest, "ben")).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  const { userId: other } = await sessions.createGuest(HOUR_MS, "");
  await scratch.store.transact((tx) => sessions.claimGuest(tx, other));
  expect(await sessions.list(other)).toEqual([]);
  await expect(
    scratch.store.transact((tx) => sessions.claimGuest(tx, other)),
  ).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});

test("the sessions of a user are those that were created and not ended", async () => {
  await using scratch = scratchStore();
  const sessions = open(scratch);
  const user = fc.constantFrom("ann" as const, "ben" as const);
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("create" as const), user }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("end" as const), user, nth: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("endAll" as const), user }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const live: Record<"ann" | "ben", string[]> = { ann: [], ben: [] };
      await sessions.endAll("ann");
      await sessions.endAll("ben");
      for (const one of steps) {
        const own = live[one.user];
        if (one.do === "create") own.push(await sessions.create(one.user, USER));
        else if (one.do === "endAll") {
          expect(await sessions.endAll(one.user)).toBe(own.length);
          own.length = 0;
        } else if (own[one.nth] !== undefined) {
          const [token = ""] = own.splice(one.nth, 1);
          await sessions.end(await idOf(sessions, token));
          await expect(sessions.identify(token)).rejects.toThrow();
        }
      }
      for (const [userId, tokens] of Object.entries(live)) {
        expect(await sessions.list(userId)).toHaveLength(tokens.length);
        for (const token of tokens)
          expect((await sessions.identify(token)).caller.userId).toBe(userId);
      }
    }),
    { numRuns: 15 },
  );
});

test("a user has at most so many sessions: the one not used for longest ends", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const sessions = new Sessions(store, platform, [], { maxOfUser: 2 });
  const ended: string[] = [];
  sessions.onEnd((id) => ended.push(id));
  const first = await sessions.create("ann", USER);
  scratch.advance(1000);
  const second = await sessions.create("ann", USER);
  const [firstId, secondId] = [await idOf(sessions, first), await idOf(sessions, second)];
  await sessions.create("ben", USER);
  scratch.advance(120_000);
  await sessions.identify(first);
  const third = await sessions.create("ann", USER);
  expect(ended).toEqual([secondId]);
  await expect(sessions.identify(second)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  // A new token for a session is not another session.
  scratch.advance(1000);
  await sessions.rotate(await idOf(sessions, third), HOUR_MS);
  expect((await sessions.list("ann")).map(({ id }) => id)).toContain(firstId);
  expect(await sessions.list("ben")).toHaveLength(1);
  // The session of a guest who signs in is one.
  const guest = await sessions.createGuest(HOUR_MS, "");
  const guestId = await idOf(sessions, guest.token);
  for (const _time of ["from the guest", "from the user itself"]) {
    expect(await sessions.transfer(guestId, "ann", HOUR_MS)).toBe(true);
    expect(await sessions.list("ann")).toHaveLength(2);
  }
});

test("an expired session makes room before one that is still valid", async () => {
  await using scratch = scratchStore();
  const sessions = new Sessions(scratch.store, scratch.platform, [], { maxOfUser: 2 });
  const valid = await sessions.create("ann", USER);
  scratch.advance(1000);
  await sessions.create("ann", { ...USER, lifetimeMs: 1000 });
  scratch.advance(1000);
  const next = await sessions.create("ann", USER);
  for (const token of [valid, next])
    expect((await sessions.identify(token)).caller.userId).toBe("ann");
});
