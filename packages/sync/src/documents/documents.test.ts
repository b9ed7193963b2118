import { afterEach, expect, test } from "bun:test";
import { refusal, VirtualMachine } from "../../../../tests/support/virtual-machine.ts";
import type { MutationError } from "../connection/errors.ts";
import type { SyncEngineConfig } from "../engine/config.ts";
import type { SyncEngine } from "../engine/engine.ts";
import type { DocumentChanges } from "./document-sender.ts";

// Documents as bytes, on a clock that the test moves.

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface Browser {
  readonly machine: VirtualMachine;
  readonly engine: SyncEngine;
  /** The messages about documents that the server has received. */
  readonly messages: string[];
  readonly send: { frame: (bytes: Uint8Array) => void };
}

function start(options: Partial<SyncEngineConfig> = {}): Browser {
  const machine = new VirtualMachine();
  const messages: string[] = [];
  const send: Browser["send"] = { frame: () => undefined };
  machine.onMessage = (text, sendBytes) => {
    const { type, entity, rowId } = JSON.parse(text) as Record<string, string>;
    messages.push(`${type?.replace("crdt-", "")} ${entity}/${rowId}`);
    send.frame = sendBytes;
  };
  const engine = machine.engine({ reconnectDelay: 200, ...options });
  engine.start();
  cleanups.push(() => engine.stop());
  return { machine, engine, messages, send };
}

test("subscriptions are counted, and renewed with each connection", async () => {
  const { machine, engine, messages } = start();
  engine.subscribeCrdt("Note", "n1");
  engine.subscribeCrdt("Note", "n1");
  engine.subscribeCrdt("Note", "n2");
  await machine.advance(1_000);
  expect(messages.splice(0)).toEqual(["subscribe Note/n1", "subscribe Note/n2"]);
  engine.unsubscribeCrdt("Note", "n1");
  engine.unsubscribeCrdt("Note", "n2");
  await machine.advance(1_000);
  expect(messages.splice(0)).toEqual(["unsubscribe Note/n2"]);
  machine.cut();
  await machine.advance(3_000);
  expect(messages.splice(0)).toEqual(["subscribe Note/n1"]);
  engine.unsubscribeCrdt("Note", "n1");
  engine.unsubscribeCrdt("Note", "n1");
  await machine.advance(1_000);
  expect(messages.splice(0)).toEqual(["unsubscribe Note/n1"]);
});

test("frames reach the listeners until they stop, and none of a closed connection", async () => {
  const { machine, engine, send } = start();
  const heard: number[][] = [];
  const stop = engine.onBinaryFrame((bytes) => heard.push([...bytes]));
  engine.subscribeCrdt("Note", "n1");
  await machine.advance(1_000);
  send.frame(new Uint8Array([1, 2]));
  const { frame: late } = send;
  engine.stop();
  late(new Uint8Array([3]));
  engine.start();
  await machine.advance(1_000);
  send.frame(new Uint8Array([4]));
  stop();
  send.frame(new Uint8Array([5]));
  expect(heard).toEqual([[1, 2], [4]]);
});

/** The unsent changes of a test: one byte for each. */
function changesOf(bytes: number[], errors: MutationError[] = []): DocumentChanges {
  return {
    take: () => {
      const taken = [...bytes];
      const remove = (): void => void bytes.splice(0, taken.length);
      return taken.length === 0
        ? null
        : {
            bytes: new Uint8Array(taken),
            sent: remove,
            refused: (error) => {
              remove();
              errors.push(error);
            },
          };
    },
  };
}

const KEY = { entity: "Note", rowId: "a/b" };

test("changes are sent as hex, at most five times a second and one request at a time", async () => {
  const { machine, engine } = start();
  const updates: unknown[] = [];
  machine.intercept = (path, body) => {
    if (path !== "/api/crdt/Note/a%2Fb") return undefined;
    updates.push((JSON.parse(body) as { readonly update: string }).update);
    return Response.json({ ok: true });
  };
  await machine.until(() => engine.connected, 1_000);
  const bytes: number[] = [];
  const changes = changesOf(bytes);
  for (let count = 0; count < 20; count += 1) {
    bytes.push(count + 10);
    engine.withDocuments((documents) => documents.send(KEY, changes));
    await machine.advance(50);
  }
  await machine.advance(1_000);
  expect(updates.join("")).toBe("0a0b0c0d0e0f101112131415161718191a1b1c1d");
  expect(updates.length).toBeLessThanOrEqual(6);
});

test("a page that only a cookie authenticates names the author of its edits", async () => {
  const { machine, engine } = start({ credentials: "cookie" });
  const paths: string[] = [];
  const session = { user_id: "ann", is_admin: false, roles: [] };
  machine.intercept = (path) => {
    if (path.startsWith("/api/auth/me")) return Response.json(session);
    if (!path.startsWith("/api/crdt")) return undefined;
    paths.push(path);
    return Response.json({ ok: true });
  };
  await machine.until(() => engine.connected, 1_000);
  await engine.session.refresh();
  const bytes = [1];
  const changes = changesOf(bytes);
  engine.withDocuments((documents) => documents.send(KEY, changes));
  await machine.advance(1_000);
  expect(paths).toEqual([`/api/crdt/Note/a%2Fb?user_id=ann`]);
});

test("a user who keeps writing stays below the server's default rate limit", async () => {
  const { machine, engine } = start();
  let count = 0;
  machine.intercept = (path) => {
    if (!path.startsWith("/api/crdt")) return undefined;
    count += 1;
    return Response.json({ ok: true });
  };
  await machine.until(() => engine.connected, 1_000);
  const bytes: number[] = [];
  const changes = changesOf(bytes);
  const write = async (seconds: number): Promise<number> => {
    const before = count;
    for (let keys = 0; keys < seconds * 4; keys += 1) {
      bytes.push(1);
      engine.withDocuments((documents) => documents.send(KEY, changes));
      await machine.advance(250);
    }
    return count - before;
  };
  expect(await write(60)).toBeLessThanOrEqual(60);
  expect(await write(60)).toBeLessThanOrEqual(45);
  // After a pause, others see each key at once again.
  await machine.advance(30_000);
  expect(await write(4)).toBeGreaterThan(12);
  await machine.advance(3_000);
  expect(bytes).toEqual([]);
});

test("nothing is sent before the user is known, or after they have signed out", async () => {
  const { machine, engine } = start();
  const count = (): number =>
    machine.requests.filter(({ path }) => path.startsWith("/api/crdt")).length;
  machine.network = "down";
  const changes = changesOf([1]);
  engine.withDocuments((documents) => documents.send(KEY, changes));
  await machine.advance(10_000);
  expect(count()).toBe(0);
  engine.session.setToken(null);
  machine.network = "up";
  machine.goOnline();
  await machine.advance(10_000);
  expect(count()).toBe(0);
});

test.each([
  [400, "CRDT_DECODE_FAILED", true],
  [403, "POLICY_DENIED", true],
  [404, "NOT_FOUND", true],
  [413, "PAYLOAD_TOO_LARGE", true],
  [429, "RATE_LIMITED", false],
  [500, "INTERNAL", false],
])("an answer %i %s is a rejection: %p", async (status, code, isRejection) => {
  const { machine, engine } = start();
  let answer = refusal(status, code);
  machine.intercept = (path) => (path.startsWith("/api/crdt") ? answer.clone() : undefined);
  await machine.until(() => engine.connected, 1_000);
  const [bytes, errors]: [number[], MutationError[]] = [[1], []];
  engine.withDocuments((documents) => documents.send(KEY, changesOf(bytes, errors)));
  await machine.advance(2_000);
  expect(errors.map((error) => error.code)).toEqual(isRejection ? [code] : []);
  answer = Response.json({ ok: true });
  await machine.advance(60_000);
  expect(bytes).toEqual([]);
});

test("a stored update that a proxy rejects as too large stays, and delays no other", async () => {
  const { machine, engine } = start();
  const sent: string[] = [];
  machine.intercept = (path, body) => {
    if (!path.startsWith("/api/crdt")) return undefined;
    sent.push(path);
    return body.length > 100_000
      ? new Response("Request Entity Too Large", { status: 413 })
      : Response.json({ ok: true });
  };
  await machine.until(() => engine.connected, 1_000);
  const large = new Uint8Array(100_000);
  engine.withDocuments((documents) => {
    documents.store({ entity: "Note", rowId: "large", kind: "changes", bytes: large }, []);
    void documents.load();
  });
  await machine.until(() => sent.length > 0, 1_000);
  const small = [1];
  engine.withDocuments((documents) => documents.send(KEY, changesOf(small)));
  await machine.advance(60_000);
  expect(sent).toEqual(["/api/crdt/Note/large", "/api/crdt/Note/a%2Fb"]);
  expect([small, engine.status.pending]).toEqual([[], 1]);
});

test("an update that can't be made smaller for a proxy is repeated less often", async () => {
  const { machine, engine } = start({ reconnectDelay: 2_000 });
  let count = 0;
  machine.intercept = (path) => {
    if (!path.startsWith("/api/crdt")) return undefined;
    count += 1;
    return new Response("Request Entity Too Large", { status: 413 });
  };
  await machine.until(() => engine.connected, 1_000);
  const bytes = Array.from({ length: 50_000 }, () => 1);
  engine.withDocuments((documents) => documents.send(KEY, changesOf(bytes)));
  await machine.advance(60_000);
  expect(count).toBeGreaterThan(2);
  expect(count).toBeLessThan(15);
  expect(bytes).toHaveLength(50_000);
});
