import { expect, test } from "bun:test";
import fc from "fast-check";
import { deploymentName } from "./targets.ts";

test("any name of an app becomes one that AWS, Fly, Docker and systemd accept", () => {
  const words = fc.array(fc.stringMatching(/^[A-Za-z0-9]{1,12}$/), { maxLength: 8 });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        words.map((list) => list.join(" ")),
      ),
      (appName) => {
        const name = deploymentName(appName);
        expect(name).toMatch(/^[a-z]([a-z0-9-]*[a-z0-9])?$/);
        expect(name.length).toBeLessThanOrEqual(44);
        expect(deploymentName(name)).toBe(name);
      },
    ),
  );
});

test("a name that is truncated does not end with a hyphen", () => {
  expect(deploymentName(`${"a".repeat(39)} shop`)).toBe("a".repeat(39));
});

test.each([
  ["My Shop!", "my-shop"],
  ["2048", "pylon-app"],
  ["User", "user-app"],
])("%p is deployed as %p", (appName, name) => {
  expect(deploymentName(appName)).toBe(name);
});
