import { afterAll, beforeAll, expect, test } from "bun:test";
import { overviewOf } from "./remote/overview.ts";
import { parsePrometheus, Scrape } from "./remote/prometheus.ts";
import {
  callFn,
  COMMAND,
  noteApp,
  pylon,
  PylonProcess,
  queryOf,
  TempFolder,
  type Result,
} from "./testing/pylon-process.ts";

const TOKEN = "canary-admin-token-of-this-test-0123";
const folder = new TempFolder();
let server: PylonProcess;
let port = 0;

beforeAll(async () => {
  folder.write({
    "app.ts": noteApp("text: field.string()"),
    "functions/fails.ts": queryOf("(() => { throw new Error('it broke'); })()"),
    "functions/works.ts": queryOf("1"),
    "away/.env": `PYLON_ADMIN_TOKEN=${TOKEN}\n`,
  });
  server = new PylonProcess(["start", "--port", "0"], folder.path, { PYLON_ADMIN_TOKEN: TOKEN });
  port = Number((await server.event())["port"]);
  await callFn(port, "fails");
  for (let index = 0; index < 20; index += 1) await callFn(port, "works");
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const ask = (...args: string[]): Promise<Result> =>
  pylon([...args, "--url", `http://127.0.0.1:${port}`], folder.path, { PYLON_ADMIN_TOKEN: TOKEN });

test("logs shows the newest lines, for people and programs, with their user", async () => {
  const { exitCode, stdout, stderr } = await ask("logs", "--level", "error");
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} ERROR function failed function=fails request_id=\S+\nError: it broke\n/,
  );
  expect(stderr).toContain("the one replica that responded");
  const json = (await ask("logs", "--json", "--limit", "1", "--level", "error")).stdout;
  expect(JSON.parse(json)).toMatchObject({ level: "error", message: "function failed" });
  expect(json.trimEnd().split("\n")).toHaveLength(1);
  expect(stdout + stderr + json).not.toContain(TOKEN);
});

test("logs --follow prints each new line, and reports when the server ends it", async () => {
  const own = new PylonProcess(["start", "--port", "0"], folder.path, {
    PYLON_ADMIN_TOKEN: TOKEN,
    PYLON_DB_PATH: `${folder.path}/own.db`,
  });
  const { port: ownPort } = await own.event();
  const child = Bun.spawn(
    [
      ...COMMAND,
      "logs",
      "--follow",
      "--json",
      "--level",
      "error",
      "--url",
      `http://127.0.0.1:${String(ownPort)}`,
    ],
    { cwd: folder.path, env: { PYLON_ADMIN_TOKEN: TOKEN }, stdout: "pipe", stderr: "pipe" },
  );
  const reader = child.stdout.getReader();
  const first = reader.read();
  for (let isRead = false; !isRead;) {
    await callFn(ownPort, "fails");
    isRead = await Promise.race([first.then(() => true), Bun.sleep(100).then(() => false)]);
  }
  expect(new TextDecoder().decode((await first).value)).toContain('"message":"function failed"');
  await own.end();
  expect(await child.exited).toBe(1);
  expect(await new Response(child.stderr).text()).toContain("ended the stream");
});

test("metrics shows what happened, also with the token of the app's .env", async () => {
  const { exitCode, stdout } = await pylon(["metrics"], `${folder.path}/away`, {
    PYLON_PORT: String(port),
  });
  expect(exitCode).toBe(0);
  for (const name of [
    "parts down     none",
    "requests",
    "errors         1, of which 1 by the server (5xx)",
    "request time   p50 ",
    "connections",
    "feed lag",
    "event loop",
    "memory",
  ])
    expect(stdout).toContain(name);
  const json = (await ask("metrics", "--json")).stdout;
  expect(JSON.parse(json)).toMatchObject({
    code: "METRICS_OK",
    parts_down: [],
    server_errors: 1,
    connections: expect.any(Object),
    request_p99_ms: expect.any(Number),
    memory_mib: expect.any(Number),
  });
  expect(json + stdout).not.toContain(TOKEN);
});

test("metrics --watch shows rates for the time in between", async () => {
  const child = Bun.spawn(
    [...COMMAND, "metrics", "--watch", "--json", "--url", `http://127.0.0.1:${port}`],
    { cwd: folder.path, env: { PYLON_ADMIN_TOKEN: TOKEN }, stdout: "pipe", stderr: "ignore" },
  );
  const lines = child.stdout.pipeThrough(new TextDecoderStream());
  let text = "";
  for await (const chunk of lines) {
    text += chunk;
    if (text.split("\n").length > 2) break;
    await callFn(port, "works");
  }
  child.kill();
  const [, second] = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(second).toMatchObject({
    requests: 1,
    server_errors: 0,
    requests_per_second: expect.any(Number),
  });
});

test.each<[string[], Record<string, string>, number, string]>([
  [["logs"], {}, 1, "PYLON_ADMIN_TOKEN is not set"],
  [["metrics", "--url", "ftp://x"], { PYLON_ADMIN_TOKEN: TOKEN }, 64, "--url is"],
  [["metrics", "--url", "http://api.example.com"], { PYLON_ADMIN_TOKEN: TOKEN }, 64, "use https"],
  [["logs", "--url", "http://127.0.0.1:1"], { PYLON_ADMIN_TOKEN: TOKEN }, 69, "can't be reached"],
  [["logs", "--level", "loud"], { PYLON_ADMIN_TOKEN: TOKEN }, 64, "debug, info, warn, error"],
  [["logs", "--limit", "5000"], { PYLON_ADMIN_TOKEN: TOKEN }, 64, "--limit is"],
  [["logs", "--token", TOKEN], {}, 64, "has no --token"],
])("%j with %j exits %d", async (args, env, exitCode, message) => {
  using empty = new TempFolder();
  const result = await pylon(args, empty.path, env);
  expect(result.exitCode).toBe(exitCode);
  expect(result.stderr).toContain(message);
  expect(result.stderr).not.toContain(TOKEN);
});

test("a wrong token is reported as rejected", async () => {
  const { exitCode, stderr } = await pylon(
    ["metrics", "--url", `http://127.0.0.1:${port}`],
    folder.path,
    { PYLON_ADMIN_TOKEN: "another-token-than-the-server-has" },
  );
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining("rejected PYLON_ADMIN_TOKEN")]);
});

test("quantiles are within their bucket, over all labels and since a scrape", () => {
  const text = (fast: number, slow: number): string =>
    `# HELP x y\nh_bucket{le="0.1",route="/a \\"b\\""} ${fast}\nh_bucket{le="1",route="/a ` +
    `\\"b\\""} ${fast + slow}\nh_bucket{le="+Inf",route="/a \\"b\\""} ${fast + slow}\n` +
    'pylon_part_up{part="redis"} 0\n';
  const [before, now] = [
    new Scrape(parsePrometheus(text(100, 0))),
    new Scrape(parsePrometheus(text(100, 100))),
  ];
  expect(before.quantile("h", 0.5)).toBeCloseTo(0.05);
  expect(now.quantile("h", 0.75)).toBeCloseTo(0.55);
  expect(now.quantile("h", 0.5, before)).toBeCloseTo(0.55);
  expect(before.quantile("h", 0.5, before)).toBeNull();
  expect(now.all("h_bucket")[0]?.labels["route"]).toBe('/a "b"');
  expect(overviewOf(now).parts_down).toEqual(["redis"]);
});
