import { expect, test } from "bun:test";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { SpanRecorder, type FinishedSpan } from "./span-recorder.ts";

interface Opened {
  readonly platform: ManualPlatform;
  readonly recorder: SpanRecorder;
  readonly spans: FinishedSpan[];
  readonly limits: { isFull: boolean; isSpent: boolean; takes: boolean };
}

function open(): Opened {
  const platform = new ManualPlatform(1_000);
  const spans: FinishedSpan[] = [];
  const limits = { isFull: false, isSpent: false, takes: true };
  const recorder = new SpanRecorder(
    { isSpent: () => limits.isSpent, takes: () => limits.takes },
    {
      get isFull() {
        return limits.isFull;
      },
      add: (span) => spans.push(span),
    },
    {
      now: () => platform.now() + 500_000,
      monotonic: platform.monotonic,
      random: platform.random,
    },
  );
  return { platform, recorder, spans, limits };
}

test("a span has its times, its attributes, and its first failure", () => {
  const { platform, recorder, spans } = open();
  const root = recorder.root("GET /", "server", null, { route: "/" });
  platform.advance(20);
  const child = root?.child("query", "client", {}, 1_005);
  child?.set("rows", 3);
  child?.fail("first");
  child?.fail("second");
  child?.end();
  platform.advance(5);
  root?.end();
  const [query, request] = spans;
  expect(query).toMatchObject({
    name: "query",
    kind: "client",
    traceId: root?.traceId,
    parentId: root?.spanId,
    isParentRemote: false,
    startMs: 501_005,
    endMs: 501_020,
    attributes: { rows: 3 },
    failure: "first",
  });
  expect(request).toMatchObject({
    parentId: null,
    startMs: 501_000,
    endMs: 501_025,
    attributes: { route: "/" },
    failure: null,
  });
});

test("a caller's trace is continued", () => {
  const { recorder, spans } = open();
  const [traceId, spanId] = ["a".repeat(32), "b".repeat(16)];
  recorder.root("GET /", "server", { traceId, spanId, isSampled: true })?.end();
  expect(spans[0]).toMatchObject({ traceId, parentId: spanId, isParentRemote: true });
});

test("ids have the right format, and differ", () => {
  const { recorder } = open();
  const roots = Array.from({ length: 1_000 }, () => recorder.root("x", "internal", null));
  for (const root of roots) {
    expect(root?.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(root?.spanId).toMatch(/^[0-9a-f]{16}$/);
  }
  expect(new Set(roots.map((root) => root?.traceId)).size).toBe(1_000);
  expect(new Set(roots.map((root) => root?.spanId)).size).toBe(1_000);
});

test("no trace is started that would be dropped or is not selected", () => {
  const { recorder, limits } = open();
  for (const limit of ["isFull", "isSpent"] as const) {
    limits[limit] = true;
    expect(recorder.isClosed).toBe(true);
    expect(recorder.root("x", "server", null)).toBeNull();
    limits[limit] = false;
  }
  limits.takes = false;
  expect(recorder.isClosed).toBe(false);
  expect(recorder.root("x", "server", null)).toBeNull();
});
