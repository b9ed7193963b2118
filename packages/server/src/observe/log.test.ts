import { expect, test } from "bun:test";
import { runIn, type Span } from "./operation.ts";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { describeThrown, Log, type LogOptions, type LogRecord } from "./log.ts";
import { QueryWatch } from "./query-watch.ts";
import { parseTraceParent } from "./trace-parent.ts";

function open(change: Partial<LogOptions> = {}): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const log = new Log({
    level: "info",
    format: "json",
    now: () => 0,
    write: (line) => lines.push(line),
    ...change,
  });
  return { log, lines };
}

const span: Span = {
  traceId: "1".repeat(32),
  spanId: "2".repeat(16),
  child: () => span,
  set: () => undefined,
  fail: () => undefined,
  end: () => undefined,
};

test("a line has the time, level and message; below the level nothing is written", () => {
  const { log, lines } = open();
  log.debug("not written");
  log.warn("careful", { count: 2, none: undefined });
  expect(lines).toEqual([
    '{"time":"1970-01-01T00:00:00.000Z","level":"warn","message":"careful","count":2}',
  ]);
  expect([log.isOn("debug"), log.isOn("info")]).toEqual([false, true]);
  expect(log.tail.recent("debug", 10)).toEqual(lines);
});

test("the text format is for people", () => {
  const { log, lines } = open({ format: "text" });
  log.info("listening", { port: 1, dev: false });
  expect(lines).toEqual(["00:00:00.000 INFO  listening port=1 dev=false"]);
});

test("a line logged in a request contains its id and trace, and is exported too", () => {
  const { log, lines } = open();
  const records: LogRecord[] = [];
  log.exportTo((record) => records.push(record));
  runIn({ requestId: "r-1", where: "GET /", span }, () => log.error("failed", new Error("why")));
  log.exportTo(null);
  log.info("alone");
  const [line = ""] = lines;
  expect(JSON.parse(line)).toMatchObject({
    level: "error",
    error: expect.stringContaining("Error: why\n"),
    request_id: "r-1",
    trace_id: span.traceId,
    span_id: span.spanId,
  });
  expect(records).toHaveLength(1);
  expect(records[0]).toMatchObject({ at: 0, level: "error", message: "failed", span });
});

test("any thrown value has a description", () => {
  expect(describeThrown(new Error("why"))).toBe("why");
  expect(describeThrown("text")).toBe("text");
  expect(describeThrown({ a: 1 })).toContain("a: 1");
  expect(describeThrown(undefined)).toBe("undefined");
});

test("slow statements are logged on one line, with the operation that they ran for", () => {
  const { log, lines } = open();
  const platform = new ManualPlatform(0);
  const watch = new QueryWatch(100, "sqlite", log, platform);
  platform.advance(150);
  watch.ran("SELECT fast", 60, 1, false);
  expect(lines).toEqual([]);
  runIn({ requestId: null, where: "GET /x", span }, () =>
    watch.ran("SELECT\n  slow", 49.96, 2, true),
  );
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    message: "slow query",
    sql: "SELECT slow",
    ms: 100,
    rows: 2,
    from: "GET /x",
    failed: true,
  });
  new QueryWatch(0, "sqlite", log, platform).ran("SELECT", -1e9, 1, false);
  expect(lines).toHaveLength(1);
});

test("a traceparent is accepted if it is well-formed", () => {
  const [trace, parent] = ["a".repeat(32), "b".repeat(16)];
  expect(parseTraceParent(`00-${trace}-${parent}-01`)).toEqual({
    traceId: trace,
    spanId: parent,
    isSampled: true,
  });
  expect(parseTraceParent(`00-${trace}-${parent}-02`)?.isSampled).toBe(false);
  // A later version may have additional parts.
  expect(parseTraceParent(`01-${trace}-${parent}-01-more`)?.isSampled).toBe(true);
  for (const header of [
    null,
    "",
    `ff-${trace}-${parent}-01`,
    `00-${trace}-${parent}-01-more`,
    `00-${"0".repeat(32)}-${parent}-01`,
    `00-${trace}-${"0".repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${parent}-01`,
    `01-${trace}-${parent}-01-${"x".repeat(200)}`,
  ])
    expect(parseTraceParent(header)).toBeNull();
});

test("an error without a stack, as of an aborted request, is logged with its message", () => {
  const { log, lines } = open();
  const aborted = Object.assign(new Error("The connection was closed."), { name: "AbortError" });
  aborted.stack = "";
  log.error("request failed", aborted);
  expect(lines.join("\n")).toContain("AbortError: The connection was closed.");
});
