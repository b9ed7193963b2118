import { expect, test } from "bun:test";
import { checkRuntime } from "./machine.ts";

test.each([
  ["1.4.0", "pass"],
  ["1.4.12", "pass"],
  ["1.4.6-canary.1", "pass"],
  ["1.40.0", "warning"],
  ["1.3.9", "warning"],
  ["2.0.0", "warning"],
])("Bun %s is a %s", (version, status) => {
  expect(checkRuntime(version)).toMatchObject({ status });
});
