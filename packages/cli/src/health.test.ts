import { expect, test } from "bun:test";
import { createServer } from "node:net";
import { noteApp, pylon, PylonProcess, TempFolder } from "./testing/pylon-process.ts";

test("health finds a server by its port and by PYLON_PORT, whatever proxy is set", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  await using server = new PylonProcess(["start", "--port", "0"], folder.path);
  const { port } = await server.event();
  const flag = await pylon(["health", "--port", String(port)], "/", {
    HTTP_PROXY: "http://127.0.0.1:9",
    http_proxy: "http://127.0.0.1:9",
  });
  expect(flag).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/health is up for \d+ s\.\n$/),
    stderr: "",
  });
  for (const host of ["0.0.0.0", "::", "localhost"]) {
    const variable = await pylon(["health", "--json"], "/", {
      PYLON_PORT: String(port),
      PYLON_HOST: host,
    });
    expect(variable.exitCode).toBe(0);
    expect(JSON.parse(variable.stdout)).toMatchObject({ code: "HEALTH_OK", status: 200 });
  }
  const elsewhere = await pylon(["health"], "/", {
    PYLON_PORT: String(port),
    PYLON_HOST: "127.0.0.9",
  });
  expect(elsewhere.exitCode).toBe(elsewhere.stdout.includes("127.0.0.9") ? 0 : 1);
});

test("health uses PYLON_HOST if it is a specific address", async () => {
  const { stderr } = await pylon(["health", "--port", "1"], "/", { PYLON_HOST: "::1" });
  expect(stderr).toContain("http://[::1]:1/health");
});

test.each([
  ["nobody listens", null, "can't be reached"],
  ["a 503", new Response("busy", { status: 503 }), "returned 503"],
  [
    "a page of something else",
    new Response("<html>hello</html>"),
    "another program is listening there",
  ],
  ["too much", new Response("x".repeat(1_000_000)), "another program is listening there"],
])("health fails on %s", async (_what, response, message) => {
  using server = Bun.serve({ port: 0, fetch: () => response ?? new Response() });
  const port = server.port;
  if (response === null) await server.stop(true);
  const { exitCode, stdout, stderr } = await pylon(["health", "--port", String(port)], "/");
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  expect(stderr).toContain(message);
  expect(stderr).toContain(String(port));
});

test("health does not wait for a server that hangs", async () => {
  const hanging = createServer(() => undefined);
  await new Promise<void>((listening) => hanging.listen(0, "127.0.0.1", listening));
  const address = hanging.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const { exitCode, stderr } = await pylon(["health", "--port", String(port)], "/");
  expect({ exitCode, stderr }).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("did not respond within 5 s"),
  });
  hanging.close();
}, 60_000);

test.each([
  [["--port", "0"], {}],
  [["--port", "web"], {}],
  [[], { PYLON_PORT: "99999" }],
])("health rejects %j %j, naming it", async (args, env) => {
  const { exitCode, stderr } = await pylon(["health", ...args], "/", env);
  expect(exitCode).toBe(64);
  expect(stderr).toContain(args.length > 0 ? "--port is" : "PYLON_PORT is");
});
