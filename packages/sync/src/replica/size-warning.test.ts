import { expect, test } from "bun:test";
import type { EngineEvent } from "../connection/events.ts";
import { Emitter } from "../platform/emitter.ts";
import { LocalStore } from "./local-store.ts";
import { warnOfSize } from "./size-warning.ts";

/** The warnings for a replica of this many rows with texts of this length, in two steps. */
function saidOf(rows: number, length: number): readonly string[] {
  const store = new LocalStore();
  const events = new Emitter<EngineEvent>();
  const said: string[] = [];
  warnOfSize(store, events, (text) => said.push(text));
  const text = "x".repeat(length);
  for (let id = 0; id < rows; id += 1) {
    store.applyChanges([
      { seq: id + 1, entity: "Note", row_id: `${id}`, kind: "insert", data: { text } },
    ]);
    if (id === Math.floor(rows / 2)) events.emit({ type: "snapshot" });
  }
  for (let times = 0; times < 2; times += 1) events.emit({ type: "advance" });
  return said;
}

test("a replica that is too large already causes a warning immediately", () => {
  const store = new LocalStore();
  const events = Array.from({ length: 10_001 }, (_, id) => ({
    seq: id + 1,
    entity: "Note",
    row_id: `${id}`,
    kind: "insert" as const,
  }));
  store.applyChanges(events);
  const said: string[] = [];
  warnOfSize(store, new Emitter<EngineEvent>(), (text) => said.push(text));
  expect(said).toEqual([expect.stringContaining("10001 rows")]);
});

test("a small replica causes no warning", () => {
  expect(saidOf(9_000, 10)).toEqual([]);
});

test.each([
  ["too many rows", 10_001, 1, "10001 rows"],
  ["too many bytes", 300, 20_000, "6 MB"],
])("%s are named once, with the option", (_, rows, length, size) => {
  const said = saidOf(rows, length);
  expect(said).toHaveLength(1);
  expect(said[0]).toContain(size);
  expect(said[0]).toContain('sync: "queries"');
});
