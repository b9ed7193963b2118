import { expect, test } from "bun:test";
import type { PushedMessage } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { until } from "../../../../../tests/support/client.ts";
import { Subscriber } from "../../connections/subscriber.ts";
import { TopicPublisher } from "../../connections/topic-publisher.ts";
import { openAppData, user, type AppData } from "../../data/testing/app-data.ts";
import { ANONYMOUS_IDENTITY, type Identity } from "../../identity/identity.ts";
import { systemPlatform } from "../../platform.ts";
import { Feed } from "../feed.ts";
import { SocketPushes } from "./socket-pushes.ts";
import { queuesOf } from "../../connections/testing/queues-of.ts";

const manifest = buildManifest({
  name: "pushes",
  version: "1.0.0",
  entities: [entity("Note", { text: field.string() })],
  policies: [policy({ name: "all", entity: "Note", allow: "true" })],
});

/** A client's socket, and what became of its pushes. */
class Client {
  readonly answers: PushedMessage[] = [];
  readonly recorded: (readonly [number, string])[] = [];
  readonly failures: unknown[] = [];
  readonly counted: string[] = [];
  mayStay = true;
  /** What the count of requests waits for. */
  room: Promise<void> = Promise.resolve();
  readonly #pushes: SocketPushes;
  readonly #subscriber: Subscriber;

  constructor(
    { store, committer, model, platform }: AppData,
    identity: Partial<Identity> = {},
    onAnswer: () => void = () => undefined,
  ) {
    this.#subscriber = new Subscriber(
      { ...ANONYMOUS_IDENTITY, caller: user("ann"), ...identity },
      {
        transport: "websocket",
        topics: null,
        write: (text) => {
          this.answers.push(JSON.parse(text) as PushedMessage);
          onAnswer();
          return 0;
        },
        queued: () => 0,
        drained: () => Promise.resolve(),
        close: () => undefined,
        terminate: () => undefined,
      },
      queuesOf(),
      systemPlatform,
      2,
      "192.0.2.7",
    );
    this.#pushes = new SocketPushes({
      services: { store, committer, model: () => model, platform, reader: () => store },
      limiter: {
        isOn: true,
        count: (key) => {
          this.counted.push(key());
          return this.room;
        },
      },
      observer: { pushed: () => undefined },
      traced: (apply) => apply(),
      record: (status, _ms, address) => this.recorded.push([status, address]),
      onError: (error) => this.failures.push(error),
    });
  }

  push(id: number, rowId: string): Promise<void> {
    const changes = [{ entity: "Note", row_id: rowId, kind: "insert", data: { text: rowId } }];
    const received = { id, message: { type: "push", id, changes, results: true }, length: 100 };
    return this.#pushes.take(this.#subscriber, received, () => Promise.resolve(this.mayStay));
  }
}

async function idsOf({ store }: AppData): Promise<string[]> {
  return (await store.select({ entity: "Note" })).map(({ id }) => id);
}

test("a connection has one push at a time", async () => {
  await using app = await openAppData(manifest);
  const client = new Client(app);
  const { promise, resolve } = Promise.withResolvers<void>();
  client.room = promise;
  const first = client.push(1, "a");
  await client.push(2, "b");
  expect(client.answers).toMatchObject([{ id: 2, status: 429, error: { code: "RATE_LIMITED" } }]);
  resolve();
  await first;
  await client.push(3, "b");
  expect(client.answers.slice(1)).toMatchObject([
    { id: 1, answer: { applied: 1 } },
    { id: 3, answer: { applied: 1 } },
  ]);
  expect(await idsOf(app)).toEqual(["a", "b"]);
  expect(client.recorded.map(([status]) => status)).toEqual([429, 200, 200]);
  expect(new Set(client.counted)).toEqual(new Set(["192.0.2.7"]));
});

test("a caller that may not push is refused, and nothing is written", async () => {
  await using app = await openAppData(manifest);
  const keyWith = (...apiKeyScopes: string[]): Partial<Identity> => ({
    caller: { ...user("ann"), apiKeyId: "key", apiKeyScopes },
  });
  const refused: [Partial<Identity>, number][] = [
    [keyWith("read"), 403],
    [keyWith("entities:Note:write"), 403],
    [{ expiresAt: app.platform.now() }, 401],
  ];
  for (const [identity, status] of refused) {
    const client = new Client(app, identity);
    await client.push(1, "a");
    expect(client.answers).toMatchObject([{ id: 1, status }]);
  }
  const gone = new Client(app);
  gone.mayStay = false;
  await gone.push(1, "a");
  expect([gone.answers, gone.recorded]).toEqual([[], [[401, "192.0.2.7"]]]);
  expect(await idsOf(app)).toEqual([]);
  const writer = new Client(app, keyWith("write"));
  await writer.push(1, "a");
  expect(writer.answers).toMatchObject([{ answer: { applied: 1 } }]);
});

test("an internal error is logged, and not shown", async () => {
  await using app = await openAppData(manifest);
  const client = new Client(app);
  const bug = new Error("a secret");
  client.room = Promise.reject(bug);
  await client.push(1, "a");
  expect(client.failures).toEqual([bug]);
  expect(client.answers).toMatchObject([{ status: 500, error: { code: "INTERNAL" } }]);
  expect(JSON.stringify(client.answers)).not.toContain("secret");
});

/** Another client's socket that has subscribed to the notes. @param sent receives the types */
async function follow({ store, model }: AppData, sent: string[]): Promise<void> {
  const feed = new Feed(store, model, systemPlatform, async () => "valid", 20_000, {
    failed: (error) => sent.push(String(error)),
    delivered: () => undefined,
    traced: (_changes, _connections, deliver) => deliver(),
  });
  await feed.start();
  const write = (text: string): number => {
    sent.push((JSON.parse(text) as { readonly type: string }).type);
    return 0;
  };
  const outlet = {
    transport: "websocket",
    topics: {
      publisher: new TopicPublisher(() => undefined, systemPlatform.soon),
      enter: () => undefined,
      leave: () => undefined,
    },
    write,
    writeTogether: (texts: readonly string[]) => texts.reduce((_, text) => write(text), 0),
    queued: () => 0,
    drained: () => Promise.resolve(),
    close: () => undefined,
    terminate: () => undefined,
  } as const;
  const reader = new Subscriber(ANONYMOUS_IDENTITY, outlet, queuesOf(), systemPlatform, 2);
  await feed.join(reader, null);
  feed.receive(reader, '{"type":"subscribe","id":1,"entity":"Note"}');
  await until(() => sent.includes("ready"));
}

test("the readers get a change before its writer is answered", async () => {
  await using app = await openAppData(manifest);
  const sent: string[] = [];
  await follow(app, sent);
  const writer = new Client(app, {}, () => sent.push("pushed"));
  await writer.push(1, "a");
  expect(sent.slice(-2)).toEqual(["commit", "pushed"]);
});
