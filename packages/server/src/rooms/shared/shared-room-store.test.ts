import { expect, test } from "bun:test";
import { assert, asyncProperty, array, constantFrom, oneof, record, constant } from "fast-check";
import { Log } from "../../observe/log.ts";
import { systemPlatform, type Platform, type Timer } from "../../platform.ts";
import { disconnectMessage, joinMessage, leaveMessage, presenceMessage } from "../messages.ts";
import type { Member } from "../memory/room-table.ts";
import type {
  BroadcastResult,
  RoomMessage,
  RoomSize,
  RoomTimes,
  TenantMessage,
} from "../room-store.ts";
import { memberKey } from "./member-key.ts";
import type { ChannelMessage, RoomBackend, StoredMember } from "./room-backend.ts";
import { SharedRoomStore } from "./shared-room-store.ts";

const TIMES: RoomTimes = {
  idleMs: 1e9,
  graceMs: 1e9,
  handOverMs: 1e9,
  leaseMs: 1e9,
  sweepMs: 1_000,
};
const will = (userId: string): TenantMessage => disconnectMessage("t", userId, 1);

class Lost extends Error {}

/** When the next call fails: before it takes effect, or afterwards, with its result lost. */
type Failure = { readonly call: string; readonly when: "before" | "after" };

/** A backend in memory that is lost, and loses its data, on demand. */
class FakeBackend implements RoomBackend {
  readonly name = "fake";
  readonly part = "rooms";
  readonly replica = "me";
  isUp = true;
  readonly users = new Set<string>();
  readonly all = new Map<string, Member>();
  readonly entered: boolean[] = [];
  failure: Failure | null = null;
  /** Messages wait for `hear` instead of arriving before the result. */
  isSlow = false;
  readonly #waiting: ChannelMessage[] = [];
  #hasLease = false;
  #told: (message: ChannelMessage) => void = () => undefined;
  #changed: (isUp: boolean) => void = () => undefined;

  onChange(listener: (isUp: boolean) => void): () => void {
    this.#changed = listener;
    return () => {
      this.#changed = () => undefined;
    };
  }
  onMessage(listener: (message: ChannelMessage) => void): void {
    this.#told = listener;
  }
  isLoss(error: unknown): boolean {
    return error instanceof Lost;
  }

  setUp(isUp: boolean): void {
    this.isUp = isUp;
    this.#waiting.length = 0;
    this.#changed(isUp);
  }
  /** Delivers the waiting messages. */
  hear(): void {
    for (const message of this.#waiting.splice(0)) this.#told(message);
  }
  /** Simulates a crash: all of its data is lost. */
  forget(): void {
    this.users.clear();
    this.all.clear();
    this.#hasLease = false;
  }

  enter(isReturning: boolean): Promise<boolean> {
    return this.#call("enter", () => {
      this.entered.push(isReturning);
      const had = this.#hasLease;
      this.#hasLease = true;
      return had;
    });
  }
  keep(): Promise<boolean> {
    return this.#call("keep", () => this.#hasLease);
  }
  retire(): Promise<void> {
    return this.#call("retire", () => undefined);
  }
  join(room: string, userId: string, data: unknown): Promise<StoredMember[]> {
    return this.#call("join", () => {
      const before = this.#in(room);
      this.#put(room, userId, data);
      this.#publish(joinMessage(room, userId, data));
      return before;
    });
  }
  leave(room: string, userId: string): Promise<boolean> {
    return this.#call("leave", () => {
      const wasThere = this.all.delete(memberKey({ room, userId }));
      if (wasThere) this.#publish(leaveMessage(room, userId), "");
      return wasThere;
    });
  }
  setPresence(room: string, userId: string, data: unknown): Promise<boolean> {
    return this.#call("presence", () => {
      if (!this.all.has(memberKey({ room, userId }))) return false;
      this.#put(room, userId, data);
      this.#publish(presenceMessage(room, userId, data));
      return true;
    });
  }
  broadcast(): Promise<BroadcastResult> {
    return this.#call("broadcast", () => "sent");
  }
  members(room: string): Promise<StoredMember[] | null> {
    return this.#call("members", () => this.#in(room));
  }
  rooms(): Promise<RoomSize[]> {
    return this.#call("rooms", () => []);
  }
  send(message: TenantMessage): Promise<void> {
    return this.#call("send", () => this.#told(message));
  }
  connect(userId: string): Promise<StoredMember[]> {
    return this.#call("connect", () => {
      this.users.add(userId);
      return [...this.all.values()]
        .filter((member) => member.userId === userId)
        .map(({ room, data, joinedAt }) => ({ name: room, data, joinedAt }));
    });
  }
  disconnect(userId: string): Promise<void> {
    return this.#call("disconnect", () => void this.users.delete(userId));
  }
  register({ room, userId, data }: Member): Promise<void> {
    return this.#call("register", () => this.#put(room, userId, data));
  }

  #in(room: string): StoredMember[] {
    return [...this.all.values()]
      .filter((member) => member.room === room)
      .map(({ userId, data, joinedAt }) => ({ name: userId, data, joinedAt }));
  }
  #put(room: string, userId: string, data: unknown): void {
    this.all.set(memberKey({ room, userId }), { room, userId, data, joinedAt: 1, dueAt: null });
  }
  #publish(message: RoomMessage, origin = this.replica): void {
    this.#waiting.push({ ...message, origin, joinedAt: 1 });
    if (!this.isSlow) this.hear();
  }
  async #call<T>(name: string, work: () => T): Promise<T> {
    const failure = this.failure?.call === name ? this.failure : null;
    if (failure !== null) this.failure = null;
    if (!this.isUp || failure?.when === "before") throw new Lost();
    const answer = work();
    await Promise.resolve();
    if (failure !== null) throw new Lost();
    return answer;
  }
}

/** A platform that runs repeated work under the control of the test. */
class Turns {
  readonly #work = new Set<() => void>();
  readonly platform: Platform = {
    ...systemPlatform,
    now: () => 1e12,
    every: (_, work) => {
      this.#work.add(work);
      const timer: Timer = { cancel: () => void this.#work.delete(work), unref: () => timer };
      return timer;
    },
  };
  async run(): Promise<void> {
    for (const work of this.#work) work();
    await Bun.sleep(0);
  }
}

async function open(isUp = true): Promise<{
  readonly store: SharedRoomStore;
  readonly backend: FakeBackend;
  readonly turns: Turns;
  readonly told: string[];
  readonly logged: string[];
}> {
  const [backend, turns] = [new FakeBackend(), new Turns()];
  backend.isUp = isUp;
  const [told, logged]: [string[], string[]] = [[], []];
  const store = new SharedRoomStore({
    backend,
    deliver: (message) => told.push(message.text),
    times: TIMES,
    platform: turns.platform,
    log: new Log({
      level: "info",
      format: "text",
      now: Date.now,
      write: (line) => logged.push(line),
    }),
  });
  await store.start();
  return { store, backend, turns, told, logged };
}

/** `r u data` of each member. */
function membersOf({ all }: FakeBackend): string[] {
  return [...all.values()]
    .map(({ room, userId, data }) => `${room} ${userId} ${JSON.stringify(data)}`)
    .toSorted();
}

test("changes after a first entry that failed midway are sent, too", async () => {
  const { store, backend, turns } = await open(false);
  await store.join("r", "untold", 1);
  await store.join("r", "told", 1);
  backend.isUp = true;
  backend.failure = { call: "register", when: "before" };
  await turns.run();
  backend.isUp = false;
  await store.leave("r", "told");
  await store.join("r", "late", 2);
  backend.isUp = true;
  await turns.run();
  expect(membersOf(backend)).toEqual(["r late 2", "r untold 1"]);
});

test("a first lease of which only the result was lost does not count as sent", async () => {
  const { store, backend, turns } = await open(false);
  await store.join("r", "u", 1);
  backend.isUp = true;
  backend.failure = { call: "enter", when: "after" };
  await turns.run();
  await turns.run();
  expect(membersOf(backend)).toEqual(["r u 1"]);
  expect(backend.entered).toEqual([false, false]);
});

test("a user who connected before the backend receives rooms it joined elsewhere", async () => {
  const { store, backend, turns } = await open(false);
  await store.connected("u", will("u"));
  backend.isUp = true;
  await new FakeElsewhere(backend).join("r", "u");
  await turns.run();
  expect([...store.localRooms("u")]).toEqual(["r"]);
  expect([...store.localMembers("r")]).toEqual(["u"]);
});

class FakeElsewhere {
  readonly #backend: FakeBackend;
  constructor(backend: FakeBackend) {
    this.#backend = backend;
  }
  async join(room: string, userId: string): Promise<void> {
    await this.#backend.register({ room, userId, data: null, joinedAt: 1, dueAt: null });
  }
}

test("a backend that rejects calls is logged once, until it accepts them", async () => {
  const { store, backend, turns, logged } = await open();
  backend.join = () => Promise.reject(new Error("out of memory"));
  backend.enter = () => Promise.reject(new Error("out of memory"));
  await store.join("r", "u", 1);
  for (let n = 0; n < 3; n += 1) await turns.run();
  expect(logged).toHaveLength(1);
  expect(logged[0]).toContain("out of memory");
  expect(store.isRefused).toBe(true);
  expect(await store.members("r", "u")).toMatchObject([{ user_id: "u" }]);
  for (const call of ["join", "enter"]) Reflect.deleteProperty(backend, call);
  await turns.run();
  expect(logged[1]).toContain("accepts requests again");
  expect(store.isRefused).toBe(false);
  expect(membersOf(backend)).toEqual(["r u 1"]);
});

test("a stop while the lease is being taken is a stop", async () => {
  const { store, backend, turns } = await open(false);
  backend.isUp = true;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  backend.enter = () => promise;
  await turns.run();
  await store.stop();
  resolve(true);
  await turns.run();
  await store.join("r", "u", 1);
  expect(membersOf(backend)).toEqual([]);
  await store.stop();
});

const NAMES = { room: constantFrom("r1", "r2"), userId: constantFrom("u1", "u2", "u3") };
const steps = array(
  oneof(
    record({ step: constantFrom("join", "leave", "presence"), ...NAMES }),
    record({ step: constantFrom("connect", "disconnect"), ...NAMES }),
    record({ step: constantFrom("lose", "return", "crash", "turn", "hear", "slow"), ...NAMES }),
    record({
      step: constant("fail"),
      call: constantFrom("enter", "join", "leave", "presence", "register", "connect", "disconnect"),
      when: constantFrom<Failure["when"]>("before", "after"),
      ...NAMES,
    }),
  ),
  { maxLength: 25 },
);

test("whatever is lost and when, the backend ends with the acknowledged state", async () => {
  await assert(
    asyncProperty(steps, async (all) => {
      const { store, backend, turns } = await open(false);
      const [members, connected] = [new Map<string, string>(), new Set<string>()];
      let data = 0;
      for (const step of all) {
        const { room, userId } = step;
        const key = memberKey({ room, userId });
        if ("call" in step) backend.failure = { call: step.call, when: step.when };
        else if (step.step === "join") {
          await store.join(room, userId, (data += 1));
          members.set(key, `${room} ${userId} ${data}`);
        } else if (step.step === "leave") {
          await store.leave(room, userId);
          members.delete(key);
        } else if (step.step === "presence") {
          if (await store.setPresence(room, userId, (data += 1)))
            members.set(key, `${room} ${userId} ${data}`);
        } else if (step.step === "connect") {
          await store.connected(userId, will(userId));
          connected.add(userId);
        } else if (step.step === "disconnect") {
          await store.disconnected(userId, will(userId));
          connected.delete(userId);
        } else if (step.step === "turn") await turns.run();
        else if (step.step === "slow") backend.isSlow = !backend.isSlow;
        else if (step.step === "hear") backend.hear();
        else {
          if (step.step === "crash") backend.forget();
          backend.setUp(step.step === "return");
          await Bun.sleep(0);
        }
      }
      backend.failure = null;
      backend.hear();
      backend.setUp(true);
      for (let n = 0; n < 3; n += 1) await turns.run();
      expect(membersOf(backend)).toEqual([...members.values()].toSorted());
      expect([...backend.users].toSorted()).toEqual([...connected].toSorted());
      await store.stop();
    }),
    { numRuns: 300 },
  );
});
