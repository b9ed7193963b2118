import { afterEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  LocalStore,
  MutationError,
  type ClientChange,
  type SyncEngine,
  type SyncEngineConfig,
} from "@pylonsync/sync";
import { page, refusal, VirtualMachine } from "../support/virtual-machine.ts";

// The client's queue and its network, on a clock that the test moves.

const cleanups: (() => unknown)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

const RECONNECT_MS = 200;
const MIB = 1024 * 1024;

function start(machine: VirtualMachine, options: Partial<SyncEngineConfig> = {}): SyncEngine {
  const engine = machine.engine({ reconnectDelay: RECONNECT_MS, ...options });
  cleanups.push(() => engine.stop());
  engine.start();
  return engine;
}

async function connect(
  machine: VirtualMachine,
  options: Partial<SyncEngineConfig> = {},
): Promise<SyncEngine> {
  const engine = start(machine, options);
  await machine.until(() => engine.connected, 1_000);
  return engine;
}

const ids = (engine: SyncEngine): string[] =>
  engine.store
    .list("Note")
    .map(({ id }) => id)
    .toSorted();

describe("C1: immediately rejects only the write that cannot be sent, and names its field", () => {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  let deep: unknown = 1;
  for (let level = 0; level < 30; level += 1) deep = [deep];

  test.each([
    ["a BigInt", { cents: 120_000n }, "cents"],
    ["a BigInt inside", { order: { lines: [{ cents: 1n }] } }, "order.lines[0].cents"],
    ["a cycle", { meta: cycle }, /^meta(\.self)+$/],
    ["a value that is too deep", { deep }, /^deep(\[0\])+$/],
    ["NaN", { n: Number.NaN }, "n"],
    ["Infinity", { n: -Infinity }, "n"],
    ["a function", { run: () => 1 }, "run"],
    ["a symbol", { tag: Symbol("tag") }, "tag"],
    ["a Map", { map: new Map() }, "map"],
    ["a Set", { set: new Set() }, "set"],
    ["bytes", { bytes: new Uint8Array(2) }, "bytes"],
    ["a promise", { soon: Promise.resolve(1) }, "soon"],
    ["an invalid date", { at: new Date(Number.NaN) }, "at"],
    ["undefined", { note: undefined }, "note"],
    ["undefined in a list", { list: [1, undefined] }, "list[1]"],
    ["more than a request may have", { text: "x".repeat(9 * MIB) }, ""],
  ])("%s", async (_, fields: Readonly<Record<string, unknown>>, field) => {
    const machine = new VirtualMachine();
    const engine = await connect(machine);
    const heard: MutationError[] = [];
    engine.onError((error) => heard.push(error));
    await engine.insert("Note", { id: "first" });
    for (const write of [
      () => engine.insert("Note", { id: "poison", ...fields }),
      () => engine.update("Note", "first", fields),
    ]) {
      const error = await write().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(MutationError);
      expect(error).toMatchObject({ code: "UNSENDABLE", entity: "Note" });
      expect((error as MutationError).field).toMatch(
        field instanceof RegExp ? field : new RegExp(`^${RegExp.escape(field)}$`),
      );
      expect(heard.pop()).toBe(error as MutationError);
    }
    await engine.insert("Note", { id: "second" });
    await machine.until(() => engine.mutations.all().length === 0, 1_000);
    expect(ids(engine)).toEqual(["first", "second"]);
    expect(machine.rows()).toEqual(["first", "second"]);
    expect(heard).toEqual([]);
  });

  test("sends a write as it was queued, even if the app changes its objects later", async () => {
    const machine = new VirtualMachine();
    const engine = await connect(machine);
    machine.network = "down";
    const tags: unknown[] = ["a"];
    const at = new Date("2026-01-02T03:04:05Z");
    await engine.insert("Note", { id: "x", tags, at, none: null, inner: { left: undefined } });
    tags.push(1n, tags);
    machine.network = "up";
    await machine.until(() => engine.mutations.all().length === 0, 60_000);
    expect(machine.log[0]?.data).toEqual({
      tags: ["a"],
      at: "2026-01-02T03:04:05.000Z",
      none: null,
      inner: {},
    });
  });

  test("the message names the kind of value, and shortens a very long path", async () => {
    const engine = await connect(new VirtualMachine());
    const messageOf = (fields: Readonly<Record<string, unknown>>): Promise<string> =>
      engine.insert("Note", fields).catch((reason: unknown) => (reason as Error).message);
    expect(await messageOf({ cents: 1n })).toBe('"cents" can\'t be sent: it is a BigInt.');
    expect(await messageOf({ meta: cycle })).toMatch(/^"meta(\.self){7}\.{4}" can't be sent: /);
  });

  test("rejects the arguments of a function in the same way", async () => {
    const machine = new VirtualMachine();
    const engine = await connect(machine);
    await expect(engine.fn("pay", { cents: 1n })).rejects.toMatchObject({
      code: "UNSENDABLE",
      field: "cents",
    });
    expect(machine.requests.some(({ path }) => path.startsWith("/api/fn"))).toBe(false);
  });
});

describe("C3: a queue of any size is sent", () => {
  const offline = async (count: number, bytes: number): Promise<[VirtualMachine, SyncEngine]> => {
    const machine = new VirtualMachine();
    const engine = await connect(machine);
    machine.network = "down";
    await Promise.all(
      Array.from({ length: count }, (_, n) =>
        engine.insert("Note", { id: `id-${n}`, text: "ü".repeat(bytes / 2) }),
      ),
    );
    return [machine, engine];
  };

  test("400 notes of 30 kB are sent in batches of at most 1 MiB", async () => {
    const [machine, engine] = await offline(400, 30_000);
    machine.network = "up";
    await machine.until(() => engine.mutations.all().length === 0, 60_000);
    expect(machine.rows()).toHaveLength(400);
    expect(Math.max(...machine.pushes.map(({ bytes }) => bytes))).toBeLessThanOrEqual(MIB);
    expect(machine.pushes.length).toBeLessThan(20);
  });

  test("1,100 small changes are sent in batches of at most 1,000", async () => {
    const [machine, engine] = await offline(1_100, 2);
    machine.network = "up";
    await machine.until(() => engine.mutations.all().length === 0, 60_000);
    expect(machine.rows()).toHaveLength(1_100);
    expect(Math.max(...machine.pushes.map(({ rows }) => rows.length))).toBe(1_000);
  });

  test.each([
    ["the server", () => refusal(413, "PAYLOAD_TOO_LARGE")],
    ["a proxy", () => page(413)],
  ])("if %s accepts less, batches are halved until they fit", async (_, answer) => {
    const [machine, engine] = await offline(100, 30_000);
    const refused: string[] = [];
    engine.onError(({ rowId }) => refused.push(rowId));
    machine.intercept = (path, body) =>
      path.endsWith("/push") && Buffer.byteLength(body) > 200_000 ? answer() : undefined;
    machine.network = "up";
    await machine.until(() => engine.mutations.all().length === 0, 60_000);
    expect(machine.rows()).toHaveLength(100);
    expect(refused).toEqual([]);
    // Once the accepted size is known, the client does not try larger batches.
    expect(machine.pushes.slice(10).every(({ bytes }) => bytes <= 200_000)).toBe(true);
  });

  test("only the oversized change of an oversized batch is rejected", async () => {
    const [machine, engine] = await offline(20, 30_000);
    const refused: string[] = [];
    engine.onError(({ rowId, code }) => refused.push(`${rowId} ${code}`));
    await engine.insert("Note", { id: "huge", text: "x".repeat(3 * MIB) });
    await engine.insert("Note", { id: "after" });
    machine.intercept = (path, body) =>
      path.endsWith("/push") && Buffer.byteLength(body) > 2 * MIB
        ? refusal(413, "PAYLOAD_TOO_LARGE")
        : undefined;
    machine.network = "up";
    await machine.until(() => engine.mutations.all().length === 0, 60_000);
    expect(refused).toEqual(["huge PAYLOAD_TOO_LARGE"]);
    expect(machine.rows()).toHaveLength(21);
    expect(ids(engine)).not.toContain("huge");
  });
});

test("C3: incremental overlays of a changing queue equal a full recomputation", () => {
  const change = fc.record({
    entity: fc.constantFrom("Note", "Tag"),
    row_id: fc.constantFrom("a", "b", "c"),
    kind: fc.constantFrom("insert" as const, "update" as const, "delete" as const),
    data: fc.dictionary(fc.constantFrom("x", "y"), fc.nat(9), { minKeys: 1 }),
  });
  const step = fc.oneof(
    fc.record({ what: fc.constant("write" as const), change }),
    fc.record({ what: fc.constant("event" as const), change }),
    fc.record({ what: fc.constant("answer" as const), place: fc.nat(5) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const store = new LocalStore();
      let pending: readonly ClientChange[] = [];
      for (const [seq, next] of steps.entries()) {
        if (next.what === "event")
          store.applyChanges([{ ...next.change, seq: seq + 1, timestamp: "" }]);
        else {
          pending =
            next.what === "write"
              ? [...pending, next.change]
              : pending.filter((_, place) => place !== next.place);
          store.setPending(pending);
        }
        const fresh = new LocalStore();
        fresh.restore([...store.allConfirmed()], 0);
        fresh.setPending(pending);
        for (const entity of ["Note", "Tag"])
          expect(rowsOf(store, entity)).toEqual(rowsOf(fresh, entity));
      }
    }),
    { numRuns: 100 },
  );
});

const rowsOf = (store: LocalStore, entity: string): unknown =>
  Object.fromEntries(store.list(entity).map((row) => [row.id, row]));

/** The maximum time until the client is live again after the network has returned. */
const LIVE_WITHIN_MS = 30_000;

describe.each(["websocket", "sse", "poll"] as const)(
  "C5: a network that swallows packets for 3 s, over %s",
  (transport) => {
    const swallow = async (machine: VirtualMachine): Promise<void> => {
      machine.network = "swallows";
      await machine.advance(3_000);
      machine.network = "up";
    };
    const expectLive = async (machine: VirtualMachine, engine: SyncEngine): Promise<void> => {
      machine.insert("from another");
      await machine.until(
        () => engine.connected && ids(engine).includes("from another"),
        LIVE_WITHIN_MS,
      );
    };

    test("at the start", async () => {
      const machine = new VirtualMachine();
      const engine = start(machine, { transport });
      await swallow(machine);
      await expectLive(machine, engine);
    });

    test("at a push", async () => {
      const machine = new VirtualMachine();
      const engine = await connect(machine, { transport });
      machine.network = "swallows";
      await engine.insert("Note", { id: "mine" });
      await swallow(machine);
      await expectLive(machine, engine);
      await machine.until(() => engine.status.pending === 0, LIVE_WITHIN_MS);
      expect(machine.rows()).toContain("mine");
    });

    test("at the handshake", async () => {
      const machine = new VirtualMachine();
      machine.intercept = (path) => {
        // The response with the snapshot is the last one before the network fails.
        if (path.includes("since=0")) queueMicrotask(() => (machine.network = "swallows"));
        return undefined;
      };
      const engine = start(machine, { transport });
      await machine.advance(50);
      expect(machine.network).toBe("swallows");
      machine.intercept = () => undefined;
      await swallow(machine);
      await expectLive(machine, engine);
    });

    test.each([50_100, 54_100, 60_000])("after a silence of %d ms", async (silence) => {
      const machine = new VirtualMachine();
      const engine = await connect(machine, { transport });
      await machine.advance(silence);
      await swallow(machine);
      await expectLive(machine, engine);
    });

    test("in the middle of a response", async () => {
      const machine = new VirtualMachine();
      machine.intercept = (path) =>
        path.includes("since=0")
          ? new Response(
              new ReadableStream({ start: (out) => out.enqueue(new Uint8Array([123])) }),
              {
                headers: { "Content-Type": "application/json" },
              },
            )
          : undefined;
      const engine = start(machine, { transport });
      await machine.advance(100);
      machine.intercept = () => undefined;
      await swallow(machine);
      await expectLive(machine, engine);
    });

    test.each(["online", "the page becomes visible"])(
      "recovers immediately when %s",
      async (what) => {
        const machine = new VirtualMachine();
        const engine = start(machine, { transport });
        await swallow(machine);
        expect(engine.connected).toBe(false);
        if (what === "online") machine.goOnline();
        else machine.show();
        await machine.until(() => engine.connected, 100);
      },
    );

    test("while offline, the client retries when the page becomes visible", async () => {
      const machine = new VirtualMachine();
      machine.network = "down";
      const engine = start(machine, { transport, reconnectDelay: 30_000 });
      await machine.advance(20_000);
      machine.network = "up";
      machine.show();
      await machine.until(() => engine.connected, 100);
    });
  },
);

test.each(["online", "the page becomes visible"])(
  "C5: a write that waits for a retry is sent immediately when %s",
  async (what) => {
    const machine = new VirtualMachine();
    const engine = await connect(machine, { reconnectDelay: 10_000 });
    machine.intercept = (path) => (path.endsWith("/push") ? refusal(500, "INTERNAL") : undefined);
    await engine.insert("Note", { id: "a" });
    await machine.advance(100);
    machine.intercept = () => undefined;
    if (what === "online") machine.goOnline();
    else machine.show();
    await machine.until(() => engine.mutations.all().length === 0, 100);
  },
);

test("C5: does not time out a slow response that makes progress", async () => {
  const machine = new VirtualMachine();
  machine.insert("a");
  let finish: () => void = () => undefined;
  machine.intercept = (path) => {
    if (!path.includes("since=0")) return undefined;
    const text = JSON.stringify({
      changes: machine.log,
      cursor: { last_seq: 1 },
      has_more: false,
      epoch: "e",
    });
    const pieces = text.match(/.{1,10}/gs) ?? [];
    const stream = new ReadableStream<Uint8Array>({
      start: (out) => {
        const next = (): void => {
          const piece = pieces.shift();
          if (piece === undefined) return out.close();
          out.enqueue(new TextEncoder().encode(piece));
          machine.platform.after?.(5_000, next);
          return undefined;
        };
        finish = next;
      },
    });
    return new Response(stream, { headers: { "Content-Type": "application/json" } });
  };
  const engine = start(machine);
  await machine.advance(10);
  finish();
  await machine.until(() => engine.connected, 200_000);
  expect(machine.requests.filter(({ path }) => path.includes("since=0"))).toHaveLength(1);
});

describe("C7: a transport that does not get through is replaced", () => {
  test.each([
    ["there are no sockets", { sockets: "missing" }, "sse", 100],
    ["sockets are blocked", { sockets: "blocked" }, "sse", 2_000],
    ["sockets open, and stay silent", { sockets: "silent" }, "sse", 30_000],
    ["streams are gathered too", { sockets: "blocked", streams: "gathered" }, "poll", 30_000],
  ] as const)("where %s", async (_, machineIs, transport, withinMs) => {
    const machine = Object.assign(new VirtualMachine(), machineIs);
    const engine = start(machine);
    expect(engine.status.transport).toBe("websocket");
    await machine.until(() => engine.connected, withinMs);
    expect(engine.status.transport).toBe(transport);
    machine.insert("live");
    await machine.until(() => ids(engine).includes("live"), 2_000);
    await engine.insert("Note", { id: "mine" });
    await machine.until(() => engine.mutations.all().length === 0, 2_000);
    // The transports that failed are tried again when the user returns to the page.
    Object.assign(machine, { sockets: "work", streams: "work" });
    machine.network = "down";
    machine.cut();
    await machine.until(() => !engine.connected, 5_000);
    machine.network = "up";
    machine.show();
    await machine.until(() => engine.connected, 100);
    expect(engine.status.transport).toBe("websocket");
  });

  test("an unreachable server does not replace it", async () => {
    const machine = new VirtualMachine();
    const engine = await connect(machine);
    machine.network = "down";
    machine.cut();
    await machine.advance(60_000);
    machine.network = "up";
    await machine.until(() => engine.connected, 2_000);
    expect(engine.status.transport).toBe("websocket");
  });
});

describe("F6: after a storm", () => {
  test("the client is live within 2 s of the server being reachable", async () => {
    const machine = new VirtualMachine();
    const engine = await connect(machine);
    for (let round = 0; round < 8; round += 1) {
      await machine.until(() => engine.connected, 2_000);
      await machine.advance(300);
      if (round % 2 === 0) machine.cut();
      else machine.resync();
      await machine.advance(10);
    }
    machine.network = "down";
    machine.cut();
    await machine.advance(300_000);
    machine.network = "up";
    await machine.until(() => engine.connected, 2_000);
  });

  test("a connection that is cut early reopens after a short pause", async () => {
    const machine = new VirtualMachine();
    const engine = start(machine, { reconnectDelay: 1_000 });
    machine.network = "down";
    await machine.advance(120_000);
    machine.network = "up";
    await machine.until(() => engine.connected, 8_000);
    machine.cut();
    await machine.advance(10);
    await machine.until(() => engine.connected, 4_100);
  });

  test("a resync is not a failure, and the rows stay", async () => {
    const machine = new VirtualMachine();
    const engine = await connect(machine);
    const ready = new Set<boolean>();
    engine.onStatus((status) => ready.add(status.ready));
    for (let round = 0; round < 10; round += 1) {
      machine.resync();
      await machine.advance(10);
      machine.insert(`during ${round}`);
      await machine.until(() => engine.connected, RECONNECT_MS + 50);
    }
    expect(ready).toEqual(new Set([true]));
    expect(ids(engine)).toHaveLength(10);
  });
});
