import { expect, test } from "bun:test";
import fc from "fast-check";
import * as v from "valibot";
import { MAX_PUSH_CHANGES } from "./limits.ts";
import { oauthFailureText } from "./oauth-return.ts";
import type { Guard } from "./guard.ts";
import { isPullResponse, isReplicaSchema } from "./pull.ts";
import { PushRequestSchema } from "./push.ts";
import { isPushResponse } from "./push-response.ts";
import { recordOf } from "./record.ts";
import { isRoomEvent } from "./rooms.ts";
import { isServerMessage } from "./socket.ts";

const fields = fc.dictionary(fc.oneof(fc.string(), fc.constant("constructor")), fc.jsonValue());
const kind = fc.constantFrom("insert", "update", "delete");
const event = fc.record(
  {
    seq: fc.integer({ min: 1 }),
    entity: fc.string(),
    row_id: fc.string(),
    kind,
    data: fields,
    timestamp: fc.string(),
  },
  { requiredKeys: ["seq", "entity", "row_id", "kind", "timestamp"] },
);
const clientChange = fc.record(
  {
    entity: fc.string(),
    row_id: fc.string(),
    kind,
    data: fields,
    op_id: fc.stringMatching(/^\w{1,128}$/),
  },
  { requiredKeys: ["entity", "row_id", "kind"] },
);
const peer = fc.record({ user_id: fc.string(), data: fc.jsonValue(), joined_at: fc.string() });
const room = fc.string();
const roomEvent = fc.oneof(
  fc.record({ type: fc.constant("join"), room, user_id: fc.string(), data: fc.jsonValue() }),
  fc.record({ type: fc.constant("leave"), room, user_id: fc.string() }),
  fc.record({ type: fc.constant("snapshot"), room, peers: fc.array(peer) }),
);
const message = fc.oneof(
  event,
  roomEvent,
  fc.record({ type: fc.constant("hello"), seq: fc.nat(), epoch: fc.string() }),
  fc.record({ type: fc.constant("resync"), reason: fc.string() }),
  fc.record({
    type: fc.constant("topic"),
    topic: fc.string(),
    data: fc.jsonValue(),
    from: fc.string(),
  }),
);

/** What arrives is what was sent, and no key of a row is lost on the way. */
function survives<T>(schema: v.GenericSchema<unknown, T>, sent: unknown): void {
  const received: unknown = JSON.parse(JSON.stringify(sent));
  expect<unknown>(v.parse(schema, received)).toEqual(received);
}

/** A guard lets through what a server sent. */
function isUnderstood(guard: Guard<unknown>, sent: unknown): void {
  expect(guard(JSON.parse(JSON.stringify(sent)))).toBe(true);
}

test("every message of a server is understood", () => {
  fc.assert(fc.property(message, (sent) => isUnderstood(isServerMessage, sent)));
  fc.assert(fc.property(roomEvent, (sent) => isUnderstood(isRoomEvent, sent)));
});

test("pulls and pushes arrive as they were sent", () => {
  const cursor = fc.record({ last_seq: fc.nat() });
  const schema = fc.dictionary(fc.string(), fc.dictionary(fc.string(), fc.string()));
  const pull = fc.record(
    { changes: fc.array(event), cursor, has_more: fc.boolean(), next_page: fc.string(), schema },
    { requiredKeys: ["changes", "cursor", "has_more"] },
  );
  fc.assert(
    fc.property(pull, (sent) => isUnderstood(isPullResponse, sent)),
    { numRuns: 30 },
  );
  const push = fc.record({ changes: fc.array(clientChange), results: fc.boolean() });
  fc.assert(
    fc.property(push, (sent) => survives(PushRequestSchema, sent)),
    { numRuns: 30 },
  );
  const answer = fc.record({
    applied: fc.nat(),
    deduped: fc.nat(),
    errors: fc.array(fc.string()),
    cursor,
    results: fc.array(
      fc.record({ status: fc.constantFrom("applied", "deduped", "refused"), id: fc.string() }),
    ),
  });
  fc.assert(
    fc.property(answer, (sent) => isUnderstood(isPushResponse, sent)),
    { numRuns: 30 },
  );
});

test("a message with a part that is missing or of another type is not valid", () => {
  fc.assert(
    fc.property(event, fc.constantFrom("seq", "entity", "kind", "timestamp"), (sent, key) => {
      const { [key]: _, ...rest } = sent;
      expect(isServerMessage(rest)).toBe(false);
      expect(isServerMessage({ ...sent, [key]: {} })).toBe(false);
    }),
  );
  for (const seq of [0, -1, 1.5, 2 ** 53])
    expect(isServerMessage({ seq, entity: "E", row_id: "r", kind: "insert", timestamp: "" })).toBe(
      false,
    );
});

test("a push has at most so many changes, and an op_id at most so many characters", () => {
  const change = { entity: "E", row_id: "r", kind: "insert" };
  const of = (count: number): unknown => ({ changes: Array.from({ length: count }, () => change) });
  expect(v.is(PushRequestSchema, of(MAX_PUSH_CHANGES))).toBe(true);
  expect(v.is(PushRequestSchema, of(MAX_PUSH_CHANGES + 1))).toBe(false);
  for (const [length, isValid] of [
    [0, false],
    [1, true],
    [128, true],
    [129, false],
  ] as const)
    expect(v.is(PushRequestSchema, { changes: [{ ...change, op_id: "x".repeat(length) }] })).toBe(
      isValid,
    );
});

test("a record has every key, whatever it is called, and values of one kind alone", () => {
  const texts = recordOf((value) => typeof value === "string");
  const names = fc.oneof(fc.string(), fc.constantFrom("constructor", "prototype", "toString"));
  fc.assert(
    fc.property(fc.dictionary(names, fc.oneof(fc.string(), fc.integer())), (made) => {
      const isRecord = Object.values(made).every((value) => typeof value === "string");
      expect(v.is(texts, made)).toBe(isRecord);
      if (isRecord) expect<unknown>(v.parse(texts, made)).toEqual(made);
    }),
  );
  for (const value of [null, [], "x", 7, undefined]) expect(v.is(texts, value)).toBe(false);
  const own = JSON.parse('{"__proto__": "kept"}') as unknown;
  expect(Object.keys(v.parse(texts, own))).toEqual(["__proto__"]);
  expect(isReplicaSchema({ Todo: { title: 7 } })).toBe(false);
});

test("a failed sign-in elsewhere is told by its code alone, and any code has a text", () => {
  expect(oauthFailureText("ACCOUNT_EXISTS")).toContain("already. Sign in to it as before");
  fc.assert(
    fc.property(fc.string(), (code) => {
      expect(oauthFailureText(code)).toMatch(/^[A-Z].*\.$/);
      expect(oauthFailureText(`<b>${code}`)).not.toContain("<b>");
    }),
  );
});
