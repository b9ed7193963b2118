import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { shard, v, type MatchRules } from "@pylonsync/functions";
import { PylonError } from "@pylonsync/protocol";
import fc from "fast-check";
import { createDatabase, sharedPostgresUrl } from "../../../../tests/support/servers/postgres.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { Matchmaker, type MatchRequest, type RunningMatch } from "./matchmaker.ts";
import { MatchTickets, type Ticket } from "./match-tickets.ts";

const USES_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";
const dir = mkdtempSync(join(tmpdir(), "pylon-matches-"));
let store: Store;
beforeAll(async () => {
  store = await openStore(
    USES_POSTGRES
      ? { kind: "postgres", url: await createDatabase(sharedPostgresUrl()), poolMax: 4, ca: null }
      : { kind: "sqlite", path: join(dir, "matches.db"), isTemporary: true },
    { startTimeoutMs: 0, onState: () => undefined },
  );
});
afterAll(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(async () => {
  const { matchTickets: tickets, matchPlayers: players } = SYSTEM_TABLES;
  const [old, who] = [await tickets.select(store), await players.select(store)];
  await store.transact(async (tx) => {
    for (const { id } of old) await tickets.delete(tx, id);
    for (const { id } of who) await players.delete(tx, id);
  });
});

const SOLO: MatchRequest = { shard: "duel", mode: undefined, region: undefined, partySize: 1 };

/** Replicas of one server that know one kind of shard. */
class Setup {
  readonly platform = new ManualPlatform();
  readonly ratings = new Map<string, unknown>();
  readonly errors: unknown[] = [];
  running: RunningMatch[] = [];
  readonly tickets: MatchTickets;
  readonly #rules: MatchRules;

  constructor(rules: MatchRules) {
    this.#rules = rules;
    this.tickets = new MatchTickets(store, this.platform);
  }

  replica(): Matchmaker {
    const duel = shard({
      instances: true,
      match: this.#rules,
      input: v.any(),
      init: () => ({}),
      view: () => null,
    });
    return new Matchmaker({
      tickets: new MatchTickets(store, this.platform),
      definitions: () => new Map([["duel", duel]]),
      running: () => this.running,
      rate: async (_query, userId) => this.ratings.get(userId) ?? 0,
      platform: this.platform,
      onError: (error) => void this.errors.push(error),
    });
  }

  /** By the names of players: what became of each. */
  async seen(ids: readonly string[]): Promise<string[]> {
    const tickets = await Promise.all(ids.map((id) => this.tickets.get(id)));
    return tickets.map((ticket) => ticket?.status ?? "gone");
  }
}

async function codeOf(refused: Promise<unknown>): Promise<string> {
  const error: unknown = await refused.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof PylonError ? error.code : String(error);
}

const idsOf = (tickets: readonly Ticket[]): string[] => tickets.map(({ id }) => id);

test("players are matched by mode, region and rating, which widens while they wait", async () => {
  const setup = new Setup({
    minPlayers: 2,
    modes: ["ranked", "fun"],
    regions: ["eu", "us"],
    rating: "ratingOf",
  });
  setup.ratings.set("bob", 250);
  const maker = setup.replica();
  const ann = await maker.add("ann", SOLO);
  const bob = await maker.add("bob", SOLO);
  const far = await maker.add("far", { ...SOLO, region: "us" });
  const fun = await maker.add("fun", { ...SOLO, mode: "fun" });
  const all = idsOf([ann, bob, far, fun]);
  await maker.pass();
  expect(await setup.seen(all)).toEqual(["waiting", "waiting", "waiting", "waiting"]);
  // 100 apart at first, 10 more a second.
  setup.platform.advance(15_000);
  await maker.pass();
  expect(await setup.seen(all)).toEqual(["matched", "matched", "waiting", "waiting"]);
  const [one, two] = [await maker.get(ann.id, "ann"), await maker.get(bob.id, "bob")];
  expect(one.matchId).toMatch(/^duel:m-[\w-]+$/);
  expect(two.matchId).toBe(one.matchId);
  expect(await codeOf(maker.get(ann.id, "bob"))).toBe("TICKET_NOT_FOUND");
  setup.platform.advance(46_000);
  await maker.pass();
  expect((await setup.seen(all)).slice(2)).toEqual(["expired", "expired"]);
  expect(setup.errors).toEqual([]);
});

test("what can't be asked for is refused by the name of the field", async () => {
  const setup = new Setup({ minPlayers: 2, modes: ["ranked"], rating: "ratingOf" });
  setup.ratings.set("odd", "very good");
  const maker = setup.replica();
  for (const [request, code, field] of [
    [{ ...SOLO, shard: "chess" }, "SHARD_NOT_FOUND", undefined],
    [{ ...SOLO, mode: "fun" }, "INVALID_DATA", "mode"],
    [{ ...SOLO, region: "mars" }, "INVALID_DATA", "region"],
    [{ ...SOLO, partySize: 3 }, "INVALID_DATA", "party_size"],
  ] as const)
    await expect(maker.add("ann", request)).rejects.toMatchObject({ code, field });
  expect(await codeOf(maker.add("odd", SOLO))).toBe("HANDLER_ERROR");
});

test("a party is matched as a whole, once all of it has come", async () => {
  const setup = new Setup({ minPlayers: 4, fillSeconds: 0 });
  const maker = setup.replica();
  const party = await maker.add("ann", { ...SOLO, partySize: 3 });
  await maker.join(party.id, "bob");
  const single = await maker.add("dan", SOLO);
  await maker.pass();
  expect(await setup.seen([party.id, single.id])).toEqual(["gathering", "waiting"]);
  await maker.join(party.id, "cleo");
  expect(await codeOf(maker.join(party.id, "eve"))).toBe("TICKET_OVER");
  expect(await codeOf(maker.join("nowhere", "eve"))).toBe("TICKET_NOT_FOUND");
  await maker.pass();
  expect(await setup.seen([party.id, single.id])).toEqual(["matched", "matched"]);
  expect((await maker.get(party.id, "cleo")).players).toEqual(["ann", "bob", "cleo"]);
});

test("a user has one ticket: a new one ends the old one, of a party too", async () => {
  const setup = new Setup({ minPlayers: 2 });
  const maker = setup.replica();
  const first = await maker.add("ann", SOLO);
  const second = await maker.add("ann", SOLO);
  expect(await setup.seen([first.id, second.id])).toEqual(["cancelled", "waiting"]);
  const party = await maker.add("bob", { ...SOLO, partySize: 2 });
  await maker.join(party.id, "ann");
  expect(await setup.seen([second.id, party.id])).toEqual(["cancelled", "waiting"]);
  await setup.tickets.cancel(party.id, "ann");
  expect(await codeOf(setup.tickets.cancel(party.id, "ann"))).toBe("TICKET_OVER");
  expect(await codeOf(setup.tickets.cancel(party.id, "eve"))).toBe("TICKET_NOT_FOUND");
});

describe("a match that is to be accepted", () => {
  const rules = { minPlayers: 3, fillSeconds: 0, acceptSeconds: 10, timeoutSeconds: 600 };

  async function proposed(setup: Setup): Promise<{ maker: Matchmaker; ids: string[] }> {
    const maker = setup.replica();
    const ids: string[] = [];
    for (const name of ["a", "b", "c"]) {
      ids.push((await maker.add(name, SOLO)).id);
      setup.platform.advance(1);
    }
    await maker.pass();
    expect(await setup.seen(ids)).toEqual(["proposed", "proposed", "proposed"]);
    return { maker, ids };
  }

  test("begins with the word of the last one", async () => {
    const setup = new Setup(rules);
    const { ids } = await proposed(setup);
    const [a = "", b = "", c = ""] = ids;
    await setup.tickets.accept(a, "a");
    await setup.tickets.accept(b, "b");
    await setup.tickets.accept(b, "b");
    expect(await setup.seen(ids)).toEqual(["proposed", "proposed", "proposed"]);
    expect((await setup.tickets.accept(c, "c")).status).toBe("matched");
    expect(await setup.seen(ids)).toEqual(["matched", "matched", "matched"]);
    expect(await codeOf(setup.tickets.accept(c, "c"))).toBe("TICKET_OVER");
  });

  test("is off when one goes: the others wait on, in their old place", async () => {
    const setup = new Setup(rules);
    const { maker, ids } = await proposed(setup);
    const [a = "", b = ""] = ids;
    await setup.tickets.accept(a, "a");
    await setup.tickets.cancel(b, "b");
    expect(await setup.seen(ids)).toEqual(["waiting", "cancelled", "waiting"]);
    const late = await maker.add("d", SOLO);
    await maker.pass();
    expect(await setup.seen([...ids, late.id])).toEqual([
      "proposed",
      "cancelled",
      "proposed",
      "proposed",
    ]);
    expect((await maker.get(a, "a")).accepted).toEqual([]);
  });

  test("is off when one asks for another match, alone or in a party", async () => {
    for (const ask of ["alone", "party"] as const) {
      const setup = new Setup(rules);
      const { maker, ids } = await proposed(setup);
      const [a = "", , c = ""] = ids;
      await setup.tickets.accept(a, "a");
      if (ask === "alone") await maker.add("b", SOLO);
      else await maker.join((await maker.add("d", { ...SOLO, partySize: 3 })).id, "b");
      expect(await setup.seen(ids)).toEqual(["waiting", "cancelled", "waiting"]);
      expect(await codeOf(setup.tickets.accept(c, "c"))).toBe("TICKET_OVER");
      for (const player of ["a", "b", "c", "d"]) await maker.add(player, { ...SOLO, partySize: 3 });
    }
  });

  test("is off when one says nothing: that one's ticket is over", async () => {
    const setup = new Setup(rules);
    const { maker, ids } = await proposed(setup);
    const [a = "", , c = ""] = ids;
    await setup.tickets.accept(a, "a");
    await setup.tickets.accept(c, "c");
    setup.platform.advance(9_000);
    await maker.pass();
    expect(await setup.seen(ids)).toEqual(["proposed", "proposed", "proposed"]);
    setup.platform.advance(1_500);
    await maker.pass();
    expect(await setup.seen(ids)).toEqual(["waiting", "expired", "waiting"]);
  });
});

test("free seats of a running match go to those who wait, once, where it runs", async () => {
  const setup = new Setup({ minPlayers: 2, fillSeconds: 0, backfill: true });
  const maker = setup.replica();
  const [a, b] = [await maker.add("a", SOLO), await maker.add("b", SOLO)];
  await maker.pass();
  const { matchId } = await maker.get(a.id, "a");
  const here = new Set(["a", "b"]);
  const match = {
    id: matchId ?? "",
    has: (userId: string) => here.has(userId),
    get players() {
      return here.size;
    },
  };
  setup.running = [match];
  setup.platform.advance(60_000);
  const c = await maker.add("c", SOLO);
  await maker.pass();
  expect(await setup.seen([a.id, b.id, c.id])).toEqual(["matched", "matched", "waiting"]);
  here.delete("b");
  await maker.pass();
  expect((await maker.get(c.id, "c")).matchId).toBe(matchId);
  // Its seat is kept while it is on its way.
  const d = await maker.add("d", SOLO);
  await maker.pass();
  expect(await setup.seen([d.id])).toEqual(["waiting"]);
  setup.platform.advance(31_000);
  await maker.pass();
  expect((await maker.get(d.id, "d")).matchId).toBe(matchId);
});

test("who waits for a change of a ticket is told, or answered in time", async () => {
  const setup = new Setup({ minPlayers: 2, fillSeconds: 0 });
  const maker = setup.replica();
  const ann = await maker.add("ann", SOLO);
  const change = maker.changed(ann.id, "ann", "waiting", 20_000);
  await maker.add("bob", SOLO);
  // The first pass forms the match, and tells of it.
  while (setup.platform.timers === 0) await store.ping();
  await maker.pass();
  expect((await change).status).toBe("matched");
  expect((await maker.changed(ann.id, "ann", "waiting", 20_000)).status).toBe("matched");
  const cleo = await maker.add("cleo", SOLO);
  const nothing = maker.changed(cleo.id, "cleo", "waiting", 20_000);
  while (setup.platform.timers === 0) await store.ping();
  setup.platform.advance(20_000);
  expect((await nothing).status).toBe("waiting");
  await maker.stop();
});

test("replicas that look at the same time bring nobody to two matches", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 8 }), async (players) => {
      const setup = new Setup({ minPlayers: 2, fillSeconds: 0 });
      const makers = [setup.replica(), setup.replica(), setup.replica()];
      const ids: string[] = [];
      for (let at = 0; at < players; at += 1) {
        ids.push((await setup.replica().add(`p${at}`, SOLO)).id);
        setup.platform.advance(1);
      }
      await Promise.all(makers.map((maker) => maker.pass()));
      await Promise.all(makers.map((maker) => maker.pass()));
      const tickets = await Promise.all(ids.map((id) => setup.tickets.get(id)));
      const matched = tickets.filter((ticket) => ticket?.status === "matched");
      expect(matched.length).toBe(players - (players % 2));
      for (const together of Map.groupBy(matched, (ticket) => ticket?.matchId).values())
        expect(together.length).toBe(2);
      expect(setup.errors).toEqual([]);
      for (const [at, id] of ids.entries())
        if (tickets[at]?.status === "waiting") await setup.tickets.cancel(id, `p${at}`);
    }),
    { numRuns: USES_POSTGRES ? 5 : 15 },
  );
});
