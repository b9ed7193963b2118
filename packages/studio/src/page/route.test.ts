import { expect, test } from "bun:test";
import { hrefOf, parseRoute, rowHref } from "./route.ts";

test.each([
  ["", { section: "home" }],
  ["#/", { section: "home" }],
  ["#/nothing/here", { section: "home" }],
  ["#/data", { section: "home" }],
  ["#/functions", { section: "functions", name: null }],
  ["#/functions/messages.send", { section: "functions", name: "messages.send" }],
  ["#/workflows/wf%201", { section: "workflows", name: "wf 1" }],
  ["#/logs/%E0", { section: "logs", name: "%E0" }],
] as const)("the address %p is a place in Studio", (hash, route) => {
  expect(parseRoute(hash)).toEqual(route);
});

test("the address of a place leads to it", () => {
  const query = new URLSearchParams({ where: "title $ilike a&b=c #1", row: "r1" });
  for (const route of [
    { section: "data", entity: "Order", query },
    { section: "jobs", name: null },
    { section: "functions", name: "a/b?c" },
  ] as const)
    expect(JSON.stringify(parseRoute(hrefOf(route)))).toBe(JSON.stringify(route));
  expect(parseRoute(rowHref("Order", "o1"))).toMatchObject({ entity: "Order" });
});
