import { expect, test } from "bun:test";
import * as v from "valibot";
import { isLiveMessage, offersLiveProtocol } from "./live.ts";
import { LiveRequestSchema } from "./live-request.ts";

test("version 2 is asked for beside the token, in any place of the header", () => {
  expect(offersLiveProtocol("pylon.v2, bearer.abc")).toBe(true);
  expect(offersLiveProtocol("bearer.abc,pylon.v2")).toBe(true);
  for (const header of [null, "", "bearer.pylon.v2", "pylon.v20", "pylon.v1"])
    expect(offersLiveProtocol(header)).toBe(false);
});

test("a query, a function and an end are understood", () => {
  const nested = { messages: { order: { at: "desc" }, limit: 20, include: { author: {} } } };
  const query = { type: "subscribe", id: 1, entity: "Channel", where: { open: true } };
  const related = { tags: { ids: ["t"], include: { $rows: { ids: [] } } } };
  const known = { seq: 4, epoch: "e", ids: ["a"], include: related };
  for (const request of [
    { ...query, order: { name: "asc" }, limit: 50, include: nested, known },
    { type: "subscribe", id: 2, function: "stats", args: { day: "monday" } },
    { type: "unsubscribe", id: 1 },
  ])
    expect(v.parse(LiveRequestSchema, request)).toEqual(request as never);
});

/** Related rows of so many levels. */
function nested(levels: number): object {
  return levels === 0 ? {} : { a: { ids: [], include: nested(levels - 1) } };
}

test("what is malformed is refused", () => {
  const query = { type: "subscribe", id: 1, entity: "Channel" };
  const deep = {
    a: { include: { a: { include: { a: { include: { a: { include: { a: {} } } } } } } } },
  };
  for (const request of [
    { ...query, id: -1 },
    { ...query, id: "1" },
    { ...query, entity: 7 },
    { ...query, where: [] },
    { ...query, limit: 0 },
    { ...query, limit: 1001 },
    { ...query, include: { a: 1 } },
    { ...query, include: { a: { limit: 1.5 } } },
    { ...query, include: deep },
    { ...query, known: { seq: 1 } },
    { ...query, known: { seq: 1, epoch: "e", include: { a: {} } } },
    { ...query, known: { seq: 1, epoch: "e", include: { a: { ids: [7] } } } },
    { ...query, known: { seq: 1, epoch: "e", include: nested(9) } },
    { type: "subscribe", id: 1 },
    { type: "unsubscribe" },
  ])
    expect(v.is(LiveRequestSchema, request)).toBe(false);
});

test("what a server says is understood", () => {
  for (const message of [
    { type: "joined", id: 1, sub: 7, include: { author: { sub: 8, include: {} } } },
    { type: "rows", sub: 7, reset: true, rows: [{ id: "a", n: 1 }], keep: ["b"], gone: ["c"] },
    { type: "ready", sub: 7, seq: 3, epoch: "e" },
    { type: "commit", seq: 4, changes: [{ sub: 7, patches: [{ id: "a", n: 2 }], gone: ["b"] }] },
    { type: "result", sub: 9, seq: 4, value: null },
    { type: "resync", sub: 7 },
    { type: "error", id: 1, code: "INVALID_QUERY", message: "No.", hint: "Yes." },
    { type: "pong", seq: 4 },
    { type: "pushed", id: 1, status: 429, error: { code: "RATE_LIMITED", message: "No." } },
    {
      type: "pushed",
      id: 1,
      answer: { applied: 1, deduped: 0, errors: [], cursor: { last_seq: 4 } },
    },
  ])
    expect([message, isLiveMessage(message)]).toEqual([message, true]);
  for (const wrong of [
    { type: "rows", sub: 7, rows: [{ n: 1 }] },
    { type: "joined", id: 1, sub: 7, include: { author: { sub: -1 } } },
    { type: "joined", id: 1, sub: 7, include: { a: { sub: 8, include: { b: {} } } } },
    { type: "ready", sub: 7, seq: 3 },
    { type: "result", sub: 9, seq: 4 },
    { type: "pushed", id: 1, answer: {} },
    null,
  ])
    expect(isLiveMessage(wrong)).toBe(false);
});
