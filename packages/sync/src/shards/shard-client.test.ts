import { expect, test } from "bun:test";
import { CloseCode, SHARD_PROTOCOL } from "@pylonsync/protocol";
import type { Socket } from "../platform/platform.ts";
import { connectShard, type ConnectShardOptions } from "./shard-client.ts";

/** A socket for which the test acts as the server. */
class FakeSocket implements Socket {
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  onerror: Socket["onerror"] = null;
  binaryType = "blob";
  readonly sent: unknown[] = [];
  isClosed = false;
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.isClosed = true;
  }
  hear(frame: unknown): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

/** A platform without a network, on which delays end when a test says so. */
class Machine {
  readonly sockets: FakeSocket[] = [];
  readonly asked: { readonly url: string; readonly protocols: readonly string[] }[] = [];
  readonly pauses: { readonly ms: number; readonly run: () => void }[] = [];
  readonly platform: NonNullable<ConnectShardOptions["platform"]> = {
    random: () => 1,
    after: (ms, run) => {
      const pause = { ms, run };
      this.pauses.push(pause);
      return () => void this.pauses.splice(this.pauses.indexOf(pause), 1);
    },
    openSocket: (url, protocols) => {
      const socket = new FakeSocket();
      this.sockets.push(socket);
      this.asked.push({ url, protocols });
      return socket;
    },
  };

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("No socket was opened.");
    return socket;
  }

  connect(options: Partial<ConnectShardOptions> = {}) {
    const client = connectShard<unknown, unknown>("arena", {
      subscriberId: "u1",
      token: "a token",
      baseUrl: "http://localhost:4321",
      platform: this.platform,
      ...options,
    });
    const views: unknown[] = [];
    const errors: string[] = [];
    const closes: unknown[] = [];
    client.onSnapshot((...seen) => views.push(seen));
    client.onError(({ message }) => errors.push(message));
    client.onClose((reason, willReturn) => closes.push([reason, willReturn]));
    return { client, views, errors, closes };
  }
}

test("requests deltas, with the token where a browser can send it", () => {
  const machine = new Machine();
  machine.connect();
  expect(machine.asked).toEqual([
    {
      url: "ws://localhost:4321/shards?shard=arena&sid=u1",
      protocols: [SHARD_PROTOCOL, "bearer.a%20token"],
    },
  ]);
  expect(machine.socket.binaryType).toBe("arraybuffer");
});

test("opens its sockets with the given class", () => {
  const opened: FakeSocket[] = [];
  class OwnSocket extends FakeSocket {
    constructor(
      readonly url: string,
      readonly protocols: string[],
    ) {
      super();
      opened.push(this);
    }
  }
  const client = connectShard("arena", { baseUrl: "http://localhost:1", WebSocket: OwnSocket });
  expect(opened).toMatchObject([
    { url: "ws://localhost:1/shards?shard=arena", protocols: [SHARD_PROTOCOL] },
  ]);
  opened[0]?.onopen?.();
  expect(client.connected).toBe(true);
  client.close();
});

test("says what to do on a platform without sockets, such as Node 20", () => {
  const { WebSocket } = globalThis;
  Reflect.deleteProperty(globalThis, "WebSocket");
  try {
    const connect = () => connectShard("arena", { baseUrl: "http://localhost:1" });
    expect(connect).toThrow("This platform has no WebSocket, which shards need.");
    expect(connect).toThrow(expect.objectContaining({ code: "UNREACHABLE" }));
  } finally {
    globalThis.WebSocket = WebSocket;
  }
});

test("reports a socket that the platform refuses to open, and tries again", () => {
  const machine = new Machine();
  const { openSocket } = machine.platform;
  let isAllowed = false;
  const platform: typeof machine.platform = {
    ...machine.platform,
    openSocket: (...address) => {
      if (!isAllowed) throw new DOMException("It is forbidden.", "SecurityError");
      return openSocket(...address);
    },
  };
  const { client, errors, closes } = machine.connect({ platform });
  machine.pauses.pop()?.run();
  expect(errors).toEqual(["The socket of the shard could not be opened."]);
  expect(closes).toEqual([["no socket", true]]);
  isAllowed = true;
  machine.pauses.pop()?.run();
  machine.socket.onopen?.();
  expect(client.connected).toBe(true);

  const once = machine.connect({ platform: { ...platform, openSocket: failing } });
  once.client.close();
  expect([machine.pauses, once.errors]).toEqual([[], []]);
});

function failing(): never {
  throw new Error("no socket");
}

test("builds complete views from changes, and keeps unchanged parts", () => {
  const machine = new Machine();
  const { client, views } = machine.connect();
  machine.socket.onopen?.();
  expect(client.connected).toBe(true);
  machine.socket.hear({ tick: 4, snapshot: { a: { x: 1 }, b: [1] } });
  machine.socket.hear({ tick: 5, base: 4, ack: 1, delta: { s: { b: { s: { 1: [2] }, n: 2 } } } });
  machine.socket.hear({ tick: 9, ack: 2 });
  machine.socket.hear({ tick: 10, base: 5, delta: { r: ["a"] } });
  expect(views).toEqual([
    [{ a: { x: 1 }, b: [1] }, 4, null],
    [{ a: { x: 1 }, b: [1, 2] }, 5, 1],
    [{ a: { x: 1 }, b: [1, 2] }, 9, 2],
    [{ b: [1, 2] }, 10, 2],
  ]);
  const part = (at: number): unknown => (views[at] as { readonly a: unknown }[])[0]?.a;
  expect(part(1)).toBe(part(0));
});

test("reads messages of older servers", () => {
  const machine = new Machine();
  const { views } = machine.connect();
  const bytes = new Uint8Array(8 + 7);
  new DataView(bytes.buffer).setBigUint64(0, 77n);
  bytes.set(new TextEncoder().encode('{"x":1}'), 8);
  machine.socket.onmessage?.({ data: bytes.buffer });
  machine.socket.hear({ tick: 78, snapshot: { x: 2 } });
  expect(views).toEqual([
    [{ x: 1 }, 77, null],
    [{ x: 2 }, 78, null],
  ]);
});

test("numbers inputs across connections, and reports dropped and rejected ones", () => {
  const machine = new Machine();
  const { client, errors } = machine.connect();
  expect(client.send("early")).toBe(1);
  machine.socket.onopen?.();
  expect([client.send("on time"), client.send("a shot", 7.5)]).toEqual([2, 3]);
  expect(machine.socket.sent).toEqual([
    { input: "on time", client_seq: 2 },
    { input: "a shot", client_seq: 3, seen: 7.5 },
  ]);
  machine.socket.hear({ refused: 2, code: "UNLUCKY", message: "Not that one." });
  expect(errors).toEqual(["The input was dropped: the shard is not connected.", "Not that one."]);
});

test("reports the inputs that were under way when the connection was lost", () => {
  const machine = new Machine();
  const { client } = machine.connect();
  const lost: unknown[] = [];
  client.onError((error) => lost.push("body" in error ? error.body : error));
  machine.socket.onopen?.();
  for (let n = 0; n < 5; n += 1) client.send({ n });
  machine.socket.hear({ tick: 1, snapshot: {}, ack: 2 });
  machine.socket.hear({ refused: 4, code: "NO", message: "No." });
  machine.socket.onclose?.({ code: 1006, reason: "" });
  expect(lost).toMatchObject([{ client_seq: 4 }, { code: "UNREACHABLE", client_seqs: [3, 5] }]);
  // Nothing is reported twice, or after the app has closed the connection itself.
  machine.pauses[0]?.run();
  machine.socket.onopen?.();
  machine.socket.onclose?.({ code: 1006, reason: "" });
  machine.pauses.at(-1)?.run();
  machine.socket.onopen?.();
  client.send({ n: 6 });
  client.close();
  expect(lost).toHaveLength(2);
});

test("reconnects with growing delays, from the first one again after a connection", () => {
  const machine = new Machine();
  const { closes } = machine.connect({ reconnectBackoffMs: 100 });
  const pauses: number[] = [];
  for (let loss = 0; loss < 9; loss += 1) {
    if (loss === 8) machine.socket.onopen?.();
    machine.socket.onclose?.({ code: 1006, reason: "" });
    const pause = machine.pauses.pop();
    pauses.push(pause?.ms ?? 0);
    pause?.run();
  }
  expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 100]);
  expect(closes[0]).toEqual(["the connection was lost (1006)", true]);
});

test("weakness 7: does not reconnect if it would be rejected again", () => {
  for (const code of [
    CloseCode.UNAUTHORIZED,
    CloseCode.SESSION_ENDED,
    CloseCode.KICKED,
    CloseCode.SHARD_NOT_FOUND,
    CloseCode.SHARD_ENDED,
  ]) {
    const machine = new Machine();
    const { closes, errors } = machine.connect();
    machine.socket.onclose?.({ code, reason: "no" });
    expect([closes, errors, machine.pauses.length]).toEqual([[["no", false]], ["no"], 0]);
  }
});

test("a delta without its base, or an invalid frame, leads to a new connection", () => {
  for (const frame of [{ tick: 9, base: 8, delta: { r: [] } }, { tick: "x" }, "[", { tick: -1 }]) {
    const machine = new Machine();
    const { errors, views } = machine.connect();
    machine.socket.hear({ tick: 1, snapshot: 1 });
    if (typeof frame === "string") machine.socket.onmessage?.({ data: frame });
    else machine.socket.hear(frame);
    expect(errors).toEqual(["The shard sent a frame that can't be read."]);
    expect(machine.socket.isClosed).toBe(true);
    machine.pauses.pop()?.run();
    expect(machine.sockets.length).toBe(2);
    machine.socket.hear({ tick: 3, snapshot: 3 });
    expect(views.at(-1)).toEqual([3, 3, null]);
  }
});

test("stops once it is closed", () => {
  const machine = new Machine();
  const { client, closes } = machine.connect();
  machine.socket.onopen?.();
  client.close();
  expect([machine.socket.isClosed, client.connected, closes]).toEqual([
    true,
    false,
    [["closed", false]],
  ]);
  const waiting = new Machine();
  const later = waiting.connect();
  waiting.socket.onclose?.({ code: 1006, reason: "" });
  later.client.close();
  expect(waiting.pauses).toEqual([]);
});

test("reconnects with the given join token, and requests another when late", async () => {
  const machine = new Machine();
  let asked = 0;
  const { closes } = machine.connect({
    subscriberId: undefined,
    joinToken: async () => `join-${(asked += 1)}`,
  });
  const offered = (): string | undefined => machine.asked.at(-1)?.protocols[1];
  const returns = (code: number): void => {
    machine.socket.onclose?.({ code, reason: "gone" });
    machine.pauses.pop()?.run();
  };
  await Promise.resolve();
  expect([offered(), machine.asked[0]?.url]).toEqual([
    "join.join-1",
    "ws://localhost:4321/shards?shard=arena",
  ]);
  machine.socket.hear({ tick: 1, snapshot: 1 });
  machine.socket.hear({ reconnect: "private" });
  returns(1006);
  expect(offered()).toBe("join.private");
  returns(CloseCode.JOIN_TOKEN_REFUSED);
  await Promise.resolve();
  expect(offered()).toBe("join.join-2");
  returns(CloseCode.JOIN_TOKEN_REFUSED);
  expect(closes).toEqual([
    ["gone", true],
    ["gone", true],
    ["gone", false],
  ]);
});

test("reports if no join token is available, and tries again", async () => {
  const machine = new Machine();
  const { errors } = machine.connect({ joinToken: () => Promise.reject(new Error("offline")) });
  await Promise.resolve();
  await Promise.resolve();
  expect(errors).toEqual(["There is no join token now."]);
  expect(machine.pauses.length).toBe(1);
});
