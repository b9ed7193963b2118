import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const read = (path: string): string => readFileSync(join(import.meta.dir, "..", path), "utf8");

test("the CI workflow runs the README's test command, on the oldest supported Node", () => {
  const [, command = ""] = /^## Test it$[\s\S]*?```sh\n(.+)\n/m.exec(read("README.md")) ?? [];
  const { engines } = JSON.parse(read("package.json")) as { readonly engines: { node: string } };
  const oldest = engines.node.replace(">=", "");
  const workflow = read(".github/workflows/ci.yml");
  expect(command).toBe("npm test");
  expect(workflow).toContain(`- run: ${command}\n`);
  expect(workflow).toContain(`node: ["${oldest}", "lts/*"]`);
  expect(read("README.md")).toContain(`Node ${oldest} or newer`);
});
