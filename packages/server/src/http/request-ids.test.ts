import { expect, test } from "bun:test";
import { RequestIds } from "./request-ids.ts";

const requestNamed = (name: string): Request =>
  new Request("http://localhost/", { headers: { "x-request-id": name } });

test("each request has its own id, whatever its client calls it", () => {
  const ids = new RequestIds("p", false);
  const names = [ids.of(requestNamed("a")), ids.of(requestNamed("a")), ids.of(null)];
  expect(new Set(names).size).toBe(3);
  expect(names.every((name) => name.startsWith("p-"))).toBe(true);
});

test("a trusted proxy can set the id, with characters that are harmless in a log", () => {
  const ids = new RequestIds("p", true);
  expect(ids.of(requestNamed("edge.7-A_b"))).toBe("edge.7-A_b");
  for (const odd of ["", "a b", "a\u00e9", "x".repeat(129)])
    expect(ids.of(requestNamed(odd))).toStartWith("p-");
});
