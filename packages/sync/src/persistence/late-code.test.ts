import { expect, test } from "bun:test";
import { join } from "node:path";

const SYNC = join(import.meta.dir, "..");

/** In a process of its own, in which the code for persistence arrives after its time. */
const SCRIPT = `
  const arrival = Promise.withResolvers();
  globalThis.arrival = arrival.promise;
  globalThis.calls = [];
  const late = {
    contents: \`
      await globalThis.arrival;
      const record = (_, name) =>
        name === "then" ? undefined : async () => void globalThis.calls.push(name);
      export const persistenceOf = () => new Proxy({}, { get: record });
    \`,
    loader: "ts",
  };
  Bun.plugin({
    name: "late",
    setup: (build) => build.onLoad({ filter: /persistence.kept\\.ts$/ }, () => late),
  });
  const { createSyncEngine } = await import("${SYNC}/index.ts");
  const { systemPlatform } = await import("${SYNC}/platform/platform.ts");
  const platform = {
    ...systemPlatform,
    after: (ms, run) => systemPlatform.after(ms === 20_000 ? 0 : ms, run),
    openDisk: () => new Promise(() => undefined),
    fetch: () => new Promise(() => undefined),
  };
  const engine = createSyncEngine("http://pylon.test", { platform });
  engine.start();
  const turns = async () => {
    for (let turn = 0; turn < 50; turn += 1) await new Promise((next) => setTimeout(next));
  };
  await turns();
  arrival.resolve();
  await import("${SYNC}/persistence/kept.ts");
  await turns();
  console.log(JSON.stringify(globalThis.calls));
  process.exit(0);
`;

test("a disk is opened also when the code for it arrives late", async () => {
  const child = Bun.spawn([process.execPath, "-e", SCRIPT], { stdout: "pipe" });
  expect(JSON.parse(await new Response(child.stdout).text())).toContain("open");
});
