import { afterAll, beforeAll, expect, test } from "bun:test";
import { noteApp, pylon, PylonProcess, TempFolder, type Result } from "./testing/pylon-process.ts";

// `pylon jobs`, `crons`, `webhooks`, `workflows` and `shards` against a running server.

const TOKEN = "canary-admin-token-of-this-test-0123";
const folder = new TempFolder();
let server: PylonProcess;
let port = 0;

beforeAll(async () => {
  const app = noteApp("text: field.string()");
  const cron = `crons: [{ name: "nightly", schedule: "0 3 * * *", function: "fails" }]`;
  expect(app).toContain("entities:");
  folder.write({
    "app.ts": app.replace("entities:", `${cron}, entities:`),
    "functions/fails.ts":
      'import { action } from "@pylonsync/functions";\nexport default action({ handler: () => ' +
      '{ throw new Error("it broke"); } });\n',
    "workflows/wait.ts":
      'import { workflow } from "@pylonsync/workflows";\nexport default workflow("wait", async ' +
      '(ctx, { step, sleep }) => {\n  await step("first", () => 1);\n  await sleep("9d");\n});\n',
    "workflows/fail.ts":
      'import { workflow } from "@pylonsync/workflows";\nexport default workflow("fail", () => ' +
      '{ throw new Error("no"); });\n',
  });
  folder.write({
    "shards/lobby.ts":
      'import { shard, v } from "@pylonsync/functions";\nexport default shard({ instances: true, ' +
      "graceSeconds: 0, input: v.any(), init: () => ({ joins: 0 }), onJoin: (state) => { " +
      "state.joins += 1; }, view: (state) => state });\n",
  });
  server = new PylonProcess(["start", "--port", "0"], folder.path, { PYLON_ADMIN_TOKEN: TOKEN });
  port = Number((await server.event())["port"]);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const ask = (...args: string[]): Promise<Result> =>
  pylon([...args, "--url", `http://127.0.0.1:${port}`], folder.path, { PYLON_ADMIN_TOKEN: TOKEN });

async function post(path: string, body: unknown): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const { id }: { readonly id?: unknown } = await response.json();
  return String(id);
}

/** Repeats the command until its output contains a text. */
async function shows(text: string, ...args: string[]): Promise<Result> {
  for (;;) {
    const result = await ask(...args);
    if (result.stdout.includes(text)) return result;
    if (result.exitCode !== 0) throw new Error(result.stderr);
  }
}

test("jobs lists them, shows one, retries a dead one, and cancels one", async () => {
  const id = await post("/api/jobs", { name: "fails", max_retries: 0 });
  const { stdout } = await shows("dead", "jobs", "show", id);
  expect(stdout).toStartWith("id ");
  expect(stdout).toMatch(/\nerror +.*it broke/);
  const list = await ask("jobs", "list", "--status", "dead");
  expect(list.stdout).toMatch(/^id +name +queue +status/);
  expect(list.stdout).toContain(id);
  expect((await ask("jobs", "retry", id)).stdout).toContain(`${id} will be retried.`);
  await shows("dead", "jobs", "show", id);
  const later = await post("/api/jobs", { name: "fails", delay_secs: 3600 });
  expect((await ask("jobs", "cancel", later)).exitCode).toBe(0);
  const again = await ask("jobs", "cancel", later);
  expect([again.exitCode, again.stderr]).toEqual([
    1,
    expect.stringContaining("The job does not exist, or has ended."),
  ]);
});

test("webhooks lists deliveries, and retries a dead one", async () => {
  const message = JSON.stringify({ type: "Note.insert", data: { row: { id: "n" } } });
  const payload = { endpoint: "absent", id: "msg_1", message };
  const job = { name: "pylon/webhook", queue: "webhooks", max_retries: 0, payload };
  const id = await post("/api/jobs", job);
  const { stdout } = await shows(" dead ", "webhooks", "list");
  expect(stdout).toMatch(/^id +endpoint +status +attempts/);
  expect(stdout).toContain(id);
  expect(stdout).toContain('The webhook endpoint "absent" does not exist.');
  expect((await ask("webhooks", "retry", id)).stdout).toContain(`${id} will be retried.`);
  await shows(id, "webhooks", "list", "--status", "dead");
  const unknown = await ask("webhooks", "retry", "never");
  expect([unknown.exitCode, unknown.stderr]).toEqual([
    1,
    expect.stringContaining("There is no permanently failed delivery with this id"),
  ]);
});

test("crons lists them, and runs one now", async () => {
  expect((await ask("crons", "list")).stdout).toMatch(/\nnightly +0 3 \* \* \* +UTC +fails +\d{4}/);
  expect((await ask("crons", "run", "nightly")).stdout).toContain("nightly is being run.");
  const unknown = await ask("crons", "run", "never");
  expect([unknown.exitCode, unknown.stderr]).toEqual([
    1,
    expect.stringContaining("The cron does not exist."),
  ]);
});

test("workflows lists runs, shows one with its steps, cancels and retries them", async () => {
  const id = await post("/api/workflows/start", { name: "wait" });
  const { stdout } = await shows("Sleeping", "workflows", "show", id);
  expect(stdout).toMatch(/\nstep_0 +first +completed/);
  const json = await ask("workflows", "list", "--status", "sleeping", "--json");
  expect(JSON.parse(json.stdout)).toMatchObject([{ id, status: "Sleeping" }]);
  expect((await ask("workflows", "cancel", id)).stdout).toContain(`${id} is cancelled.`);
  const failed = await post("/api/workflows/start", { name: "fail" });
  await shows("Failed", "workflows", "show", failed);
  expect((await ask("workflows", "retry", failed)).stdout).toContain(`${failed} is resumed.`);
});

test("an action that is missing, unknown or without its name is a usage error", async () => {
  for (const args of [["jobs"], ["jobs", "eat"], ["jobs", "show"], ["crons", "list", "x"]]) {
    const { exitCode, stderr } = await ask(...args);
    expect([args, exitCode, stderr]).toEqual([args, 64, expect.stringContaining("`pylon ")]);
  }
});

test("shards lists the running ones, shows one, stops it, and starts it again", async () => {
  const join = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/shards?shard=lobby:1&sid=ann`, [
        "pylon.shards.v2",
        `bearer.${TOKEN}`,
      ]);
      socket.onmessage = ({ data }) => {
        if (!String(data).includes('"joins"')) return;
        resolve(String(data));
        socket.onclose = null;
      };
      socket.onclose = ({ reason }) => reject(new Error(reason));
    });
  await join();
  const list = await shows("lobby:1", "shards", "list");
  expect(list.stdout).toMatch(
    /^id +running +tick +subscribers +input queue\nlobby:1 +true +\d+ +1/,
  );
  expect((await ask("shards", "show", "lobby:1")).stdout).toMatch(/^id +lobby:1\nrunning +true/);
  const stopped = await ask("shards", "stop", "lobby:1");
  expect(stopped.stdout).toContain("lobby:1 is stopped and its state is saved.");
  const gone = await ask("shards", "show", "lobby:1");
  expect([gone.exitCode, gone.stderr]).toEqual([
    1,
    expect.stringContaining('The shard "lobby:1" does not exist.'),
  ]);
  expect(await join()).toContain('"joins":1');
  expect((await ask("shards", "reset", "lobby:1")).stdout).toContain("its state is deleted");
  expect(await join()).toContain('"joins":0');
});
