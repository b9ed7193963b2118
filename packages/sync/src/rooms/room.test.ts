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
      fetch: (url: string) => {
        this.paths.push(new URL(url).pathname);
        return Promise.resolve(Response.json(JOINED));
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
