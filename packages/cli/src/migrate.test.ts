import { expect, test } from "bun:test";
import { noteApp, pylon, TempFolder } from "./testing/pylon-process.ts";

async function migrate(
  folder: TempFolder,
  ...args: string[]
): Promise<{ exitCode: number; json: unknown }> {
  const { exitCode, stdout } = await pylon(["migrate", ...args, "--json"], folder.path);
  return { exitCode, json: JSON.parse(stdout) };
}

test("a plan shows the steps and changes nothing; apply takes them", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  for (const args of [["plan"], ["--plan"], []]) {
    expect(await migrate(folder, ...args)).toMatchObject({
      exitCode: 0,
      json: { code: "MIGRATE_PLAN", pending: 1, destructive: false },
    });
  }
  expect(await migrate(folder, "apply", "--yes")).toMatchObject({
    exitCode: 0,
    json: { code: "MIGRATE_OK", applied: 1 },
  });
  expect(await migrate(folder, "status")).toMatchObject({ json: { pending: 0 } });
});

test("a step that loses data is refused until it is asked for by name", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string(), extra: field.string().optional()") });
  await migrate(folder, "apply", "--yes");
  folder.write({ "app.ts": noteApp("text: field.string()") });
  expect(await migrate(folder, "plan")).toMatchObject({
    json: { destructive: true, steps: [{ destructive: true }] },
  });
  expect(await migrate(folder, "apply", "--yes")).toMatchObject({
    exitCode: 1,
    json: { code: "MIGRATE_DESTRUCTIVE" },
  });
  expect(await migrate(folder, "status")).toMatchObject({ json: { pending: 1 } });
  expect(await migrate(folder, "apply", "--yes", "--allow-destructive")).toMatchObject({
    exitCode: 0,
    json: { applied: 1 },
  });
});

test("a required field without a default can't be added to rows that are there", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  await migrate(folder, "apply", "--yes");
  folder.write({ "app.ts": noteApp("text: field.string(), due: field.datetime()") });
  expect(await migrate(folder, "apply", "--yes")).toMatchObject({
    exitCode: 1,
    json: { code: "MIGRATE_BLOCKED" },
  });
});
