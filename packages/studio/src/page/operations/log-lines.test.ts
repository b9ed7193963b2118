import { expect, test } from "bun:test";
import { LogLines } from "./log-lines.ts";

const line = (message: string, more: object = {}): string =>
  JSON.stringify({ time: "2030-01-31T12:00:00.000Z", level: "info", message, ...more });
const messages = (log: LogLines): string[] => log.lines.map(({ message }) => message);

test("the newest line is first, with its other properties as JSON", () => {
  const log = new LogLines();
  log.add([line("one"), line("two", { address: "::1", tries: 2 })]);
  log.add([line("three")]);
  expect(messages(log)).toEqual(["three", "two", "one"]);
  expect(log.lines.map(({ rest }) => rest)).toEqual(["", '{"address":"::1","tries":2}', ""]);
  expect(log.lines.map(({ number }) => number)).toEqual([3, 2, 1]);
});

test("a bounded number of lines is kept, however many arrive", () => {
  const log = new LogLines();
  log.add(Array.from({ length: 10_000 }, (_, n) => line(`line ${n}`)));
  log.add([line("last")]);
  expect(log.lines).toHaveLength(500);
  expect(messages(log).slice(0, 2)).toEqual(["last", "line 9999"]);
  expect(new Set(log.lines.map(({ number }) => number)).size).toBe(500);
});

test("lines that the server sends again after an interruption are not repeated", () => {
  const log = new LogLines();
  log.add([line("one"), line("two")]);
  log.resume();
  log.add([line("one"), line("two"), line("three")]);
  log.resume();
  log.add([line("two"), line("three"), line("four")]);
  expect(messages(log)).toEqual(["four", "three", "two", "one"]);
});

test("equal lines without an interruption are all shown", () => {
  const log = new LogLines();
  log.add([line("same"), line("same")]);
  log.add([line("same")]);
  expect(messages(log)).toEqual(["same", "same", "same"]);
});

test.each([
  ["plain text", "plain text"],
  ["[1]", "[1]"],
  ["null", "null"],
  ['"x"', '"x"'],
  ['{"message": {"a": 1}}', '{"a":1}'],
  ['{"__proto__": {"message": "x"}}', ""],
])("the line %p of another format is shown as %p", (text, message) => {
  const log = new LogLines();
  log.add([text]);
  expect(log.lines).toMatchObject([{ time: "", level: "", message }]);
});
