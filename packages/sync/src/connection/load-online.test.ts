import { expect, test } from "bun:test";
import { join } from "node:path";

const SYNC = join(import.meta.dir, "..");

/** In a process of its own, in which the code never arrives. */
const SCRIPT = `
  const hang = { contents: "await new Promise(() => undefined);", loader: "ts" };
  Bun.plugin({
    name: "hang",
    setup: (build) =>
      build.onLoad({ filter: /(engine.online|connection.extras)\\.ts$/ }, () => hang),
  });
  const { HttpClient } = await import("${SYNC}/connection/http.ts");
  const { PylonClientError } = await import("${SYNC}/connection/errors.ts");
  const { callFunction, streamFunction } = await import("${SYNC}/engine/functions.ts");
  const { systemPlatform } = await import("${SYNC}/platform/platform.ts");
  const aborted = [];
  const platform = {
    ...systemPlatform,
    after: (ms, run) => systemPlatform.after(ms === 20_000 ? 0 : ms, run),
    fetch: (url, { signal }) => {
      signal.addEventListener("abort", () => aborted.push(new URL(url).pathname));
      return new Promise(() => undefined);
    },
  };
  const http = new HttpClient("http://pylon.test", platform, () => null);
  const works = [
    () => http.request("GET", "/asked"),
    () => http.open("GET", "/streamed"),
    () => callFunction(http, platform, "called", {}, "key"),
    () => streamFunction(http, "read", {}).next(),
  ];
  const codes = [];
  for (const work of works) codes.push(await work().then(() => "done", ({ code }) => code));
  console.log(JSON.stringify({ codes, aborted }));
  process.exit(0);
`;

test("no request waits for code that never arrives", async () => {
  const child = Bun.spawn([process.execPath, "-e", SCRIPT], { stdout: "pipe" });
  expect(JSON.parse(await new Response(child.stdout).text())).toEqual({
    codes: ["UNREACHABLE", "UNREACHABLE", "UNREACHABLE", "CODE_NOT_LOADED"],
    aborted: ["/asked", "/streamed"],
  });
});
