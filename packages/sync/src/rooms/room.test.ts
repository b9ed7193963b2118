import { expect, test } from "bun:test";
import type { RoomEvent } from "@pylonsync/protocol";
import { HttpClient } from "../connection/http.ts";
import { Emitter } from "../platform/emitter.ts";
import { systemPlatform } from "../platform/platform.ts";
import { RoomMembership } from "./room-membership.ts";
import { Room, type RoomConnection } from "./room.ts";

const ANN = { user_id: "ann", data: null, joined_at: "2026-01-01T00:00:00.000Z" };
const JOINED = { joined: "hall", snapshot: { type: "snapshot", room: "hall", peers: [ANN] } };

/** A room's connection, whose code and timers run when the test says so. */
class Harness {
  readonly paths: string[] = [];
  /** What was sent with each request. */
  readonly sent: unknown[] = [];
  /** How the server answers. */
  answer: () => Promise<Response> = () => Promise.resolve(Response.json(JOINED));
  readonly #timers: (() => void)[] = [];
  readonly #loads: PromiseWithResolvers<{ RoomMembership: typeof RoomMembership }>[] = [];
  readonly connection: RoomConnection;

  constructor() {
    const platform = {
      ...systemPlatform,
      after: (_ms: number, run: () => void) => {
        this.#timers.push(run);
        return () => undefined;
      },
      fetch: (url: string, { body }: RequestInit) => {
        this.paths.push(new URL(url).pathname);
        if (typeof body === "string") this.sent.push((JSON.parse(body) as { data: unknown }).data);
        return this.answer();
      },
    };
    const [events, listening] = [new Emitter<RoomEvent>(), new Emitter<void>()];
    this.connection = {
      http: new HttpClient("http://pylon.test", platform, () => null),
      platform,
      listen: (listener) => events.on(listener),
      onListening: (listener) => listening.on(listener),
      load: () => {
        const load = Promise.withResolvers<{ RoomMembership: typeof RoomMembership }>();
        this.#loads.push(load);
        return load.promise;
      },
    };
  }

  /** Ends the oldest attempt to load the code. */
  loaded(isThere: boolean): void {
    const load = this.#loads.shift();
    if (isThere) load?.resolve({ RoomMembership });
    else load?.reject(new TypeError("Failed to fetch dynamically imported module"));
  }

  runTimers(): void {
    for (const run of this.#timers.splice(0)) run();
  }
}

const settled = (): Promise<void> => Bun.sleep(0);

test("a room is joined when its code is loaded, and presence waits for it", async () => {
  const harness = new Harness();
  const room = new Room("hall", "bob", harness.connection);
  const presence = room.setPresence({ x: 1 });
  await settled();
  expect([room.state.isConnected, harness.paths]).toEqual([false, []]);
  harness.loaded(true);
  await presence;
  await settled();
  expect(harness.paths).toEqual(["/api/rooms/join", "/api/rooms/presence"]);
  expect(room.state).toEqual({ peers: [ANN], isConnected: true, error: null });
  await room.leave();
  expect(harness.paths.at(-1)).toBe("/api/rooms/leave");
});

test("a room whose code can't be loaded says so, and tries again", async () => {
  const harness = new Harness();
  const room = new Room("hall", "bob", harness.connection);
  const refused = room.broadcast("wave").catch((error: unknown) => error);
  harness.loaded(false);
  expect(await refused).toMatchObject({ code: "CODE_NOT_LOADED" });
  expect(room.state).toMatchObject({ isConnected: false, error: { code: "CODE_NOT_LOADED" } });
  harness.runTimers();
  harness.loaded(true);
  await room.broadcast("wave");
  await settled();
  expect([harness.paths, room.state.error]).toEqual([
    ["/api/rooms/join", "/api/rooms/broadcast"],
    null,
  ]);
  await room.leave();
});

test("a room that is left before its code is loaded is never joined", async () => {
  const harness = new Harness();
  const [room, other] = [
    new Room("hall", "bob", harness.connection),
    new Room("cellar", "bob", harness.connection),
  ];
  const left = [room.leave(), other.leave()];
  harness.loaded(true);
  harness.loaded(false);
  await Promise.all(left);
  harness.runTimers();
  harness.loaded(true);
  await settled();
  expect([harness.paths, other.state.error]).toEqual([[], null]);
});

/** A room that is joined. */
async function joined(): Promise<{ readonly harness: Harness; readonly room: Room }> {
  const harness = new Harness();
  const room = new Room("hall", "bob", harness.connection);
  harness.loaded(true);
  await settled();
  expect(room.state.isConnected).toBe(true);
  harness.sent.length = 0;
  return { harness, room };
}

test("presence that was set while the server was out of reach is sent afterwards", async () => {
  const { harness, room } = await joined();
  const { answer } = harness;
  harness.answer = () => Promise.reject(new TypeError("Failed to fetch"));
  await room.setPresence({ x: 1 });
  await room.setPresence({ x: 2 });
  harness.sent.length = 0;
  // The membership has not ended at the server: the members can be loaded, without a join.
  harness.answer = () =>
    harness.paths.at(-1) === "/api/rooms/hall"
      ? Promise.resolve(Response.json({ room: "hall", members: [ANN], count: 1 }))
      : answer();
  harness.runTimers();
  await settled();
  expect([harness.paths.at(-1), harness.sent]).toEqual(["/api/rooms/presence", [{ x: 2 }]]);
  await room.leave();
});

test("one presence is sent at a time, and the newest is the last", async () => {
  const { harness, room } = await joined();
  const answers: PromiseWithResolvers<Response>[] = [];
  harness.answer = () => {
    const next = Promise.withResolvers<Response>();
    answers.push(next);
    return next.promise;
  };
  const first = room.setPresence({ x: 1 });
  await settled();
  const later = [2, 3].map((x) => room.setPresence({ x }));
  await settled();
  expect(harness.sent).toEqual([{ x: 1 }]);
  answers[0]?.resolve(Response.json({ updated: true }));
  await settled();
  expect(harness.sent).toEqual([{ x: 1 }, { x: 3 }]);
  answers[1]?.resolve(Response.json({ updated: true }));
  await Promise.all([first, ...later]);
  expect(harness.sent).toEqual([{ x: 1 }, { x: 3 }]);
  harness.answer = () => Promise.resolve(Response.json({}));
  await room.leave();
});

test("a presence that the server refuses is not sent with the next join", async () => {
  const { harness, room } = await joined();
  const { answer } = harness;
  const refusal = (code: string, status: number): Promise<Response> =>
    Promise.resolve(Response.json({ error: { code, message: code } }, { status }));
  harness.answer = () => refusal("PAYLOAD_TOO_LARGE", 413);
  const refused = await room.setPresence("too large").catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  harness.sent.length = 0;
  harness.answer = () =>
    harness.paths.at(-1) === "/api/rooms/hall" ? refusal("POLICY_DENIED", 403) : answer();
  harness.runTimers();
  await settled();
  expect([harness.paths.at(-1), harness.sent]).toEqual(["/api/rooms/join", [{}]]);
  await room.leave();
});

test("presence that is set before the code of rooms is loaded is that of the join", async () => {
  const harness = new Harness();
  const room = new Room("hall", "bob", harness.connection);
  harness.loaded(false);
  await room.setPresence({ x: 1 });
  harness.runTimers();
  harness.loaded(true);
  await settled();
  expect([harness.paths, harness.sent]).toEqual([["/api/rooms/join"], [{ x: 1 }]]);
  await room.leave();
});
