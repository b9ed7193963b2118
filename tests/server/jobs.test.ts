import { afterAll, beforeAll, expect, test } from "bun:test";
import { action, internalMutation, mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// Jobs that are created through ctx.scheduler and through the admin routes.

const manifest = buildManifest({
  name: "later",
  version: "1.0.0",
  access: "public",
  entities: [entity("Note", { text: field.string() })],
});

/** Controls when the running actions of this file return: by the name that they receive. */
const gates = new Map<string, { readonly entered: () => void; readonly until: Promise<void> }>();
const aborted: string[] = [];
let failures = 0;

const app = appOf(manifest, {
  write: internalMutation({
    args: { text: v.string() },
    handler: async (ctx, { text }) => {
      const { userId, isAdmin } = ctx.auth;
      await ctx.db.insert("Note", { text: `${text} by ${String(userId)} ${String(isAdmin)}` });
    },
  }),
  writeLater: mutation({
    args: { text: v.string(), delayMs: v.number(), fails: v.optional(v.boolean()) },
    handler: async (ctx, { text, delayMs, fails }) => {
      const id = await ctx.scheduler.runAfter(delayMs, "write", { text });
      if (fails === true) throw ctx.error("NO", "not this time");
      return id;
    },
  }),
  writeFromAction: action({
    args: { text: v.string() },
    handler: (ctx, { text }) => ctx.scheduler.runAt(Date.now(), "write", { text }),
  }),
  take: mutation({
    args: { id: v.string() },
    handler: (ctx, { id }) => ctx.scheduler.cancel(id),
  }),
  once: mutation({
    args: {},
    handler: async (ctx) => [
      await ctx.scheduler.runAfter(60_000, "write", { text: "a" }, { dedupeKey: "one" }),
      await ctx.scheduler.runAfter(60_000, "write", { text: "b" }, { dedupeKey: "one" }),
    ],
  }),
  wrong: mutation({
    args: { what: v.any() },
    handler: async (ctx, { what }) => {
      const { delayMs = 0, name = "write", args = {}, options = {} } = what as never;
      return ctx.scheduler.runAfter(delayMs, name, args, options);
    },
  }),
  writeMany: mutation({
    args: { texts: v.array(v.string()) },
    handler: (ctx, { texts }) =>
      ctx.scheduler.runBatch(
        [
          ...texts.map((text) => ({ name: "write", args: { text } })),
          { name: "nowhere", options: { maxRetries: 0 } },
        ],
        { name: "afterMany", args: { text: "after" } },
      ),
  }),
  afterMany: internalMutation({
    args: { text: v.string() },
    handler: async (ctx, { text }) => {
      await ctx.db.insert("Note", { text: `${text} ${JSON.stringify(ctx.job?.batch)}` });
    },
  }),
  mayFail: internalMutation({
    args: { text: v.string(), how: v.string() },
    handler: async (ctx, { text, how }) => {
      await ctx.db.insert("Note", { text });
      if (how === "read and throw") await ctx.db.query("Note");
      if (how === "hang") await new Promise(() => undefined);
      if (how.endsWith("throw")) throw new Error(how);
    },
  }),
  mayFailMany: mutation({
    args: { hows: v.array(v.string()) },
    handler: async (ctx, { hows }) => {
      const ids: string[] = [];
      for (const [index, how] of hows.entries()) {
        const timeout = how === "hang" ? { timeoutSecs: 1 } : {};
        const options = { queue: "failing", maxRetries: 0, ...timeout };
        const args = { text: `of ${hows.length}: ${index}`, how };
        ids.push(await ctx.scheduler.runAfter(0, "mayFail", args, options));
      }
      return ids;
    },
  }),
  waits: action({
    args: { gate: v.string() },
    handler: async (ctx, { gate }) => {
      ctx.signal.addEventListener("abort", () => aborted.push(gate));
      const known = gates.get(gate);
      if (ctx.job?.attempt === 1) await ctx.job.setProgress(0.25, "a quarter");
      known?.entered();
      await known?.until;
    },
  }),
  fails: action({
    args: {},
    handler: () => {
      failures += 1;
      throw new Error("out of paper");
    },
  }),
  notes: query({ args: {}, handler: (ctx) => ctx.db.query("Note") }),
});

let server: TestServer;
let client: TestClient;
let admin: TestClient;

beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

async function call(name: string, args: unknown = {}): Promise<unknown> {
  const { status, text } = await client.request("POST", `/api/fn/${name}`, args);
  if (status !== 200) throw new Error(text);
  return JSON.parse(text) as unknown;
}
const notes = async (): Promise<string[]> =>
  ((await call("notes")) as { readonly text: string }[]).map(({ text }) => text);
const job = async (id: string) => (await admin.request("GET", `/api/jobs/${id}`)).body;
const ended = (id: string, status: string): Promise<void> =>
  until(async () => (await job(id))["status"] === status);

/** Starts an action that waits until `open` is called. */
async function held(gate: string, options: Readonly<Record<string, unknown>> = {}) {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const entered = new Promise<void>((resolve) =>
    gates.set(gate, { entered: resolve, until: opened }),
  );
  const { body } = await admin.request("POST", "/api/jobs", {
    name: "waits",
    payload: { gate },
    ...options,
  });
  await entered;
  return { id: String(body["id"]), open };
}

test("a mutation can schedule another one, which runs without a user", async () => {
  const id = String(await call("writeLater", { text: "soon", delayMs: 0 }));
  await ended(id, "completed");
  expect(await notes()).toContain("soon by null false");
  expect(await job(id)).toMatchObject({ name: "write", queue: "functions", retry_count: 0 });
});

test("an action can schedule a job immediately", async () => {
  await ended(String(await call("writeFromAction", { text: "from an action" })), "completed");
  expect(await notes()).toContain("from an action by null false");
});

test("a mutation that fails schedules nothing", async () => {
  const before = (await admin.request("GET", "/api/jobs?limit=200")).text;
  await expect(call("writeLater", { text: "never", delayMs: 0, fails: true })).rejects.toThrow(
    "not this time",
  );
  expect((await admin.request("GET", "/api/jobs?limit=200")).text).toBe(before);
});

test("a job waits for its delay, and can be cancelled until then", async () => {
  const id = String(await call("writeLater", { text: "later", delayMs: 60_000 }));
  const { status, due_at: dueAt, delay_secs: delaySecs } = await job(id);
  expect([status, delaySecs]).toEqual(["pending", 60]);
  expect(Date.parse(String(dueAt)) - Date.now()).toBeGreaterThan(50_000);
  expect(await call("take", { id })).toBe(true);
  expect((await job(id))["status"]).toBe("cancelled");
  expect(await call("take", { id })).toBe(false);
  expect(await call("take", { id: "nope" })).toBe(false);
});

test("two calls with one dedupe key create one job", async () => {
  const [one, other] = (await call("once")) as [string, string];
  expect(other).toBe(one);
  const [again] = (await call("once")) as [string];
  expect(again).toBe(one);
  expect(await call("take", { id: one })).toBe(true);
  const [next] = (await call("once")) as [string];
  expect((await job(next))["status"]).toBe("pending");
});

test("a job whose last attempt fails is dead, and can be retried by hand", async () => {
  const { body } = await admin.request("POST", "/api/jobs", { name: "fails", max_retries: 0 });
  const id = String(body["id"]);
  await ended(id, "dead");
  expect(failures).toBe(1);
  expect((await job(id))["error"]).toContain("out of paper");
  const { text } = await admin.request("GET", "/api/jobs/dead");
  expect(JSON.parse(text)).toMatchObject([{ id }]);
  const retried = await admin.request("POST", `/api/jobs/dead/${id}/retry`);
  expect(retried.body).toEqual({ retried: true, id });
  await until(() => failures === 2);
  await ended(id, "dead");
});

test("a failed job is retried after a delay", async () => {
  const { body } = await admin.request("POST", "/api/jobs", { name: "fails", max_retries: 5 });
  const id = String(body["id"]);
  await ended(id, "retrying");
  expect((await job(id))["due_at"]).not.toBeNull();
  await until(async () => Number((await job(id))["retry_count"]) >= 1);
  await admin.request("DELETE", `/api/jobs/${id}`);
});

test("wrong arguments and a missing function fail the job, not the caller", async () => {
  const misfit = await admin.request("POST", "/api/jobs", { name: "write", payload: { text: 1 } });
  await ended(String(misfit.body["id"]), "dead");
  const unknown = await admin.request("POST", "/api/jobs", { name: "nope", max_retries: 0 });
  await ended(String(unknown.body["id"]), "dead");
  expect((await job(String(unknown.body["id"])))["error"]).toContain('"nope"');
});

test("a running action that is cancelled is aborted, and the job stays cancelled", async () => {
  const { id, open } = await held("cancelled");
  expect((await job(id))["status"]).toBe("running");
  expect((await admin.request("DELETE", `/api/jobs/${id}`)).status).toBe(200);
  await until(() => aborted.includes("cancelled"));
  open();
  await Bun.sleep(20);
  expect((await job(id))["status"]).toBe("cancelled");
  expect((await admin.request("DELETE", `/api/jobs/${id}`)).status).toBe(404);
});

test("a job reports its progress", async () => {
  const { id, open } = await held("progress");
  expect(await job(id)).toMatchObject({ progress: { fraction: 0.25, note: "a quarter" } });
  open();
  await ended(id, "completed");
});

test("a job with a higher priority runs first", async () => {
  const order: string[] = [];
  const blockers = await Promise.all(
    Array.from({ length: 10 }, (_, index) => held(`blocker ${index}`)),
  );
  const ids = new Map<string, string>();
  for (const priority of ["low", "critical", "normal"]) {
    const gate = `${priority} one`;
    gates.set(gate, { entered: () => order.push(priority), until: Promise.resolve() });
    const { body } = await admin.request("POST", "/api/jobs", {
      name: "waits",
      payload: { gate },
      priority,
    });
    ids.set(priority, String(body["id"]));
  }
  // One slot is free at a time.
  for (const { open } of blockers.slice(0, 1)) open();
  await until(() => order.length === 3);
  expect(order).toEqual(["critical", "normal", "low"]);
  for (const { open } of blockers) open();
  for (const { id } of blockers) await ended(id, "completed");
});

test("only an admin can see and create jobs", async () => {
  for (const path of ["/api/jobs", "/api/jobs/stats", "/api/jobs/dead", "/api/jobs/x"])
    expect((await client.request("GET", path)).status).toBe(403);
  expect((await client.request("POST", "/api/jobs", { name: "write" })).status).toBe(403);
});

test("the number of jobs is reported per state", async () => {
  const { body } = await admin.request("GET", "/api/jobs/stats");
  expect(Number(body["completed"])).toBeGreaterThan(0);
  expect(Number(body["dead"])).toBeGreaterThan(0);
  expect(body["failed"]).toBe(Number(body["dead"]) + Number(body["retrying"]));
  expect(body["handlers"]).toContain("write");
  const dead = JSON.parse(
    (await admin.request("GET", "/api/jobs?status=dead&queue=default&limit=1")).text,
  ) as unknown[];
  expect(dead).toHaveLength(1);
});

test("an invalid schedule is rejected with the name of its field", async () => {
  const refusals = [
    [{ delayMs: -1 }, "delayMs"],
    [{ delayMs: 1e15 }, "delayMs"],
    [{ name: "" }, "name"],
    [{ args: [1] }, "args"],
    [{ options: { queue: "a b" } }, "queue"],
    [{ options: { priority: "urgent" } }, "priority"],
    [{ options: { maxRetries: 1.5 } }, "maxRetries"],
    [{ options: { timeoutSecs: 0 } }, "timeoutSecs"],
    [{ options: { dedupeKey: 7 } }, "dedupeKey"],
    [{ options: { colour: "red" } }, "colour"],
  ] as const;
  for (const [what, field] of refusals) {
    const { status, text } = await client.request("POST", "/api/fn/wrong", { what });
    expect([status, text]).toEqual([400, expect.stringContaining(`"field":"${field}"`)]);
  }
  const large = { args: { text: "x".repeat(300_000) } };
  expect((await client.request("POST", "/api/fn/wrong", { what: large })).status).toBe(413);
  for (const [body, code, field] of [
    [{}, "MISSING_NAME", "name"],
    [{ name: "write", delay_secs: "soon" }, "INVALID_ARGS", "delay_secs"],
    [{ name: "write", delay_secs: -1 }, "INVALID_ARGS", "delay_secs"],
    [{ name: "write", max_retries: 1000 }, "INVALID_ARGS", "max_retries"],
    [{ name: "write", payload: [1] }, "INVALID_ARGS", "payload"],
    [{ name: "write", colour: "red" }, "INVALID_DATA", "colour"],
  ] as const) {
    const { status, body: answer } = await admin.request("POST", "/api/jobs", body);
    expect([status, answer["error"]]).toMatchObject([400, { code, field }]);
  }
  const big = { name: "write", payload: large.args };
  expect((await admin.request("POST", "/api/jobs", big)).body["error"]).toMatchObject({
    code: "PAYLOAD_TOO_LARGE",
    field: "payload",
  });
  for (const path of ["?status=odd", "?limit=0", "?limit=x"])
    expect((await admin.request("GET", `/api/jobs${path}`)).status).toBe(400);
});

test("short jobs that run together fail and time out each on its own", async () => {
  const all = async (hows: readonly string[]): Promise<readonly unknown[]> => {
    const ids = (await call("mayFailMany", { hows })) as string[];
    const statuses: unknown[] = [];
    for (const id of ids)
      await until(async () => {
        const { status } = await job(id);
        const hasEnded = status === "completed" || status === "dead";
        if (hasEnded) statuses.push(status);
        return hasEnded;
      });
    return statuses;
  };
  // From then on the mutation is known to be short, and more are taken each time.
  for (const count of [1, 4, 12]) await all(Array.from({ length: count }, () => "succeed"));
  const failing = new Map([
    [5, "throw"],
    [11, "read and throw"],
    [17, "hang"],
    [23, "throw"],
  ]);
  const hows = Array.from({ length: 40 }, (_, index) => failing.get(index) ?? "succeed");
  const isKept = (_: unknown, index: number): boolean => !failing.has(index);
  expect(await all(hows)).toEqual(hows.map((how) => (how === "succeed" ? "completed" : "dead")));
  const written = (await notes()).filter((text) => text.startsWith("of 40: "));
  const expected = hows.map((_, index) => `of 40: ${index}`).filter(isKept);
  expect(written.toSorted()).toEqual(expected.toSorted());
});

test("the follow-up job of a batch runs after it, with the number of failed jobs", async () => {
  const texts = ["one of many", "two of many"];
  const id = String(await call("writeMany", { texts }));
  await ended(id, "completed");
  const counts = { total: 3, completed: 2, failed: 1 };
  expect(await job(id)).toMatchObject({ batch: counts, batch_id: null });
  expect(await notes()).toContain(`after ${JSON.stringify(counts)}`);
  for (const text of texts) expect(await notes()).toContain(`${text} by null false`);
});
