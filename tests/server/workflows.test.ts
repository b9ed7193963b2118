import { afterAll, beforeAll, expect, test } from "bun:test";
import { action, internalMutation, mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { StepFailedError, workflow } from "@pylonsync/workflows";
import { systemPlatform, type Platform } from "../../packages/server/src/platform.ts";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// Workflows from start to end, through ctx.workflows and the admin routes.

const manifest = buildManifest({
  name: "flows",
  version: "1.0.0",
  access: "public",
  entities: [entity("Note", { text: field.string() })],
});

/** The number of runs per step. */
const ran = new Map<string, number>();
function count(name: string): number {
  const times = (ran.get(name) ?? 0) + 1;
  ran.set(name, times);
  return times;
}

const app = appOf(
  manifest,
  {
    write: internalMutation({
      args: { text: v.string() },
      handler: async (ctx, { text }) => ({ id: await ctx.db.insert("Note", { text }) }),
    }),
    refuse: internalMutation({
      args: {},
      handler: async (ctx) => {
        await ctx.db.insert("Note", { text: "undone" });
        throw ctx.error("SOLD_OUT", "there is none left");
      },
    }),
    begin: mutation({
      args: { name: v.string(), input: v.any(), fails: v.optional(v.boolean()) },
      handler: async (ctx, { name, input, fails }) => {
        const id = await ctx.workflows.start(name, input);
        if (fails === true) throw ctx.error("NO", "not this time");
        return id;
      },
    }),
    tell: action({
      args: { id: v.string(), event: v.string(), data: v.any() },
      handler: (ctx, { id, event, data }) => ctx.workflows.send(id, event, data),
    }),
    stop: mutation({
      args: { id: v.string() },
      handler: (ctx, { id }) => ctx.workflows.cancel(id),
    }),
    stateOf: mutation({
      args: { id: v.string() },
      handler: (ctx, { id }) => ctx.workflows.get(id),
    }),
    notes: query({ args: {}, handler: (ctx) => ctx.db.query("Note") }),
  },
  [
    workflow<{ readonly page: number; readonly keys: readonly string[] }>(
      "pages",
      async (ctx, { step, setState, continueAsNew, waitForEvent }) => {
        const { page, keys } = ctx.input;
        setState({ page });
        const key = await step("read", ({ idempotencyKey }) => idempotencyKey);
        if (page < 3) continueAsNew({ page: page + 1, keys: [...keys, key] });
        const last = await waitForEvent<string>("last");
        return { keys: [...keys, key], generation: ctx.generation, last };
      },
    ),
    workflow<{ readonly who: string }>("greet", async (ctx, { step, runMutation, sleep }) => {
      const name = await step("name", () => {
        count(`name ${ctx.id}`);
        return ctx.input.who.toUpperCase();
      });
      await sleep("0.05s");
      const { id } = (await runMutation("write", { text: `hello ${name}` })) as { id: string };
      return { name, id, steps: ctx.completedSteps };
    }),
    workflow("parallel", async (_ctx, { step }) => {
      const one = async (name: string, ms: number): Promise<string> => {
        await step(`${name} 1`, () => Bun.sleep(ms));
        return step(`${name} 2`, () => name);
      };
      return Promise.all([one("slow", 30), one("fast", 1)]);
    }),
    workflow("approval", async (_ctx, { waitForEvent }) => {
      const first = await waitForEvent<{ readonly by: string }>("approved");
      return { by: first.by, late: (await waitForEvent("never", { timeout: "0.05s" })) ?? "late" };
    }),
    workflow(
      "flaky",
      (ctx, { step }) =>
        step("try", ({ attempt, idempotencyKey }) => {
          count(`flaky ${ctx.id}`);
          if (attempt < 3) throw new Error(`attempt ${attempt}`);
          return idempotencyKey;
        }),
      { maxRetries: 2 },
    ),
    workflow("undo", async (_ctx, { runMutation }) => {
      try {
        await runMutation("refuse", {}, { retries: 0 });
        return "done";
      } catch (error) {
        if (!(error instanceof StepFailedError)) throw error;
        await runMutation("write", { text: `compensated: ${error.message}` });
        return `undone ${error.step}`;
      }
    }),
    workflow("parent", async (_ctx, { runWorkflow }) => {
      const child = await runWorkflow("greet", { who: "child" });
      return { child };
    }),
    workflow("patient", async (_ctx, { runWorkflow }) => runWorkflow("forever")),
    workflow("forever", async (ctx, { sleep }) => {
      count(`looked at ${ctx.id}`);
      return sleep("400d");
    }),
    workflow("fails", async (ctx, { step }) => {
      await step("before", () => count(`before ${ctx.id}`));
      return step(
        "broken",
        () => {
          if (count(`broken ${ctx.id}`) < 2) throw new Error("out of paper");
          return "mended";
        },
        { retries: 0 },
      );
    }),
    workflow("slow-step", async (_ctx, { step }) =>
      step(
        "slow",
        ({ signal }) =>
          new Promise((resolve) => {
            signal.addEventListener("abort", resolve);
          }),
        { timeoutSecs: 0.05, retries: 0 },
      ),
    ),
    workflow("race", async (_ctx, { step, sleep }) =>
      Promise.race([
        step("hangs", () => new Promise<string>(() => undefined)),
        sleep("0.05s").then(() => "timed out"),
      ]),
    ),
  ],
);

let server: TestServer;
let client: TestClient;
let admin: TestClient;

beforeAll(async () => {
  server = await startServer(app);
  client = await TestClient.guest(server.url);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

const run = async (id: string) => (await admin.request("GET", `/api/workflows/${id}`)).body;
const ended = async (id: string, status = "Completed") => {
  await until(async () => (await run(id))["status"] === status);
  return run(id);
};
async function start(name: string, input: unknown = {}): Promise<string> {
  const { status, body } = await admin.request("POST", "/api/workflows/start", { name, input });
  expect(status).toBe(201);
  return String(body["id"]);
}
const notes = async (): Promise<string[]> =>
  (
    JSON.parse((await client.request("POST", "/api/fn/notes", {})).text) as {
      readonly text: string;
    }[]
  ).map(({ text }) => text);

test("a mutation starts a workflow, whose steps run once each, across a sleep", async () => {
  const { text } = await client.request("POST", "/api/fn/begin", {
    name: "greet",
    input: { who: "ada" },
  });
  const id = String(JSON.parse(text));
  expect(id).toMatch(/^wf_[0-9a-f]{16}$/);
  const done = await ended(id);
  expect(done).toMatchObject({
    name: "greet",
    input: { who: "ada" },
    output: { name: "ADA", steps: ["name", "sleep", "write"] },
    current_step: 3,
    steps: [
      { step_id: "step_0", name: "name", status: "completed", output: "ADA", retry_count: 0 },
      { step_id: "step_1", name: "sleep", kind: "sleep" },
      { step_id: "step_2", name: "write", kind: "mutation" },
    ],
  });
  expect(ran.get(`name ${id}`)).toBe(1);
  expect(await notes()).toContain("hello ADA");
});

test("a mutation that fails starts nothing", async () => {
  const before = (await admin.request("GET", "/api/workflows")).text;
  const { status } = await client.request("POST", "/api/fn/begin", {
    name: "greet",
    input: { who: "nobody" },
    fails: true,
  });
  expect(status).toBe(400);
  expect((await admin.request("GET", "/api/workflows")).text).toBe(before);
});

test("parallel branches advance independently", async () => {
  const { output, steps } = await ended(await start("parallel"));
  expect(output).toEqual(["slow", "fast"]);
  const names = (steps as { readonly name: string }[]).map(({ name }) => name);
  expect(names).toEqual(["slow 1", "fast 1", "fast 2", "slow 2"]);
});

test("an event is waited for, and a wait may have a timeout", async () => {
  const id = await start("approval");
  await ended(id, "WaitingForEvent");
  expect(await run(id)).toMatchObject({ waiting_for: "approved" });
  const other = await admin.request("POST", `/api/workflows/${id}/event`, { event: "other" });
  expect([other.status, other.text]).toEqual([
    400,
    expect.stringContaining("WORKFLOW_EVENT_FAILED"),
  ]);
  const event = { event: "approved", data: { by: "ada" } };
  expect((await admin.request("POST", `/api/workflows/${id}/event`, event)).body).toEqual({
    ok: true,
  });
  expect((await ended(id))["output"]).toEqual({ by: "ada", late: "late" });
});

test("an event that arrives before its wait is kept", async () => {
  const id = await start("approval");
  const { status } = await client.request("POST", "/api/fn/tell", {
    id,
    event: "approved",
    data: { by: "early" },
  });
  expect(status).toBe(200);
  expect((await ended(id))["output"]).toEqual({ by: "early", late: "late" });
});

test("a failed step is retried with the same idempotency key", async () => {
  const id = await start("flaky");
  const done = await ended(id);
  expect(done["output"]).toBe(`${id}:000000`);
  expect(done["steps"]).toMatchObject([{ retry_count: 2, status: "completed" }]);
  expect(ran.get(`flaky ${id}`)).toBe(3);
});

test("a mutation that fails is rolled back, and the workflow can compensate", async () => {
  expect((await ended(await start("undo")))["output"]).toBe("undone refuse");
  expect(await notes()).toContain("compensated: there is none left");
  expect(await notes()).not.toContain("undone");
});

test("a workflow can wait for another one", async () => {
  const done = await ended(await start("parent"));
  expect(done["output"]).toMatchObject({ child: { name: "CHILD" } });
  const [step] = done["steps"] as { readonly child_id: string }[];
  expect(await run(String(step?.child_id))).toMatchObject({ parent_id: done["id"] });
});

test("a workflow whose child a function cancels continues immediately", async () => {
  const after: Platform["after"] = (ms, work) =>
    systemPlatform.after(ms >= 1_000 ? 600_000 : ms, work).unref();
  const other = await startServer(app, {}, { after });
  const [operator, guest] = [
    new TestClient(other.url, ADMIN_TOKEN),
    await TestClient.guest(other.url),
  ];
  const bodyOf = async (id: unknown): Promise<Record<string, unknown>> =>
    (await operator.request("GET", `/api/workflows/${String(id)}`)).body;
  try {
    const id = (await operator.request("POST", "/api/workflows/start", { name: "patient" })).body[
      "id"
    ];
    await until(async () => (await bodyOf(id))["status"] === "WaitingForEvent");
    const [step] = (await bodyOf(id))["steps"] as { readonly child_id: string }[];
    await until(async () => (await bodyOf(step?.child_id))["status"] === "Sleeping");
    await guest.request("POST", "/api/fn/stop", { id: step?.child_id });
    await until(async () => (await bodyOf(id))["status"] === "Failed");
  } finally {
    await other.stop();
  }
});

test("a cancelled workflow ends with its children, and can't be cancelled again", async () => {
  const id = await start("patient");
  await ended(id, "WaitingForEvent");
  const [step] = (await run(id))["steps"] as { readonly child_id: string }[];
  await ended(String(step?.child_id), "Sleeping");
  expect((await admin.request("POST", `/api/workflows/${id}/cancel`)).body).toEqual({
    cancelled: true,
  });
  expect((await run(id))["status"]).toBe("Cancelled");
  expect((await run(String(step?.child_id)))["status"]).toBe("Cancelled");
  expect((await admin.request("POST", `/api/workflows/${id}/cancel`)).status).toBe(400);
  expect((await admin.request("POST", `/api/workflows/${id}/advance`)).body).toEqual({
    status: "Cancelled",
  });
});

test("a retried workflow continues with the step that failed", async () => {
  const id = await start("fails");
  expect(await ended(id, "Failed")).toMatchObject({ error: "out of paper" });
  expect((await admin.request("POST", `/api/workflows/${id}/retry`)).body).toEqual({
    retried: true,
  });
  expect((await ended(id))["output"]).toBe("mended");
  expect(ran.get(`before ${id}`)).toBe(1);
  expect((await admin.request("POST", `/api/workflows/${id}/retry`)).status).toBe(400);
});

test("a step has a timeout, and a race leaves the slower one", async () => {
  expect(await ended(await start("slow-step"), "Failed")).toMatchObject({
    error: "The step took longer than 0.05 s.",
  });
  expect((await ended(await start("race")))["output"]).toBe("timed out");
});

test("a sleeping run that is advanced runs once, and continues to sleep", async () => {
  const id = await start("forever");
  await ended(id, "Sleeping");
  const { wake_at: wakeAt } = await run(id);
  expect((await admin.request("POST", `/api/workflows/${id}/advance`)).body).toEqual({
    status: "Running",
  });
  await until(() => ran.get(`looked at ${id}`) === 2);
  expect((await ended(id, "Sleeping"))["wake_at"]).toBe(wakeAt);
});

test("only the admin can list definitions and runs", async () => {
  const { text } = await admin.request("GET", "/api/workflows/definitions");
  expect(JSON.parse(text)).toContainEqual({
    name: "flaky",
    description: null,
    file: "workflows/flaky.ts",
    version: 1,
    max_retries: 2,
    step_timeout_secs: 30,
  });
  const failed = JSON.parse((await admin.request("GET", "/api/workflows?status=failed")).text);
  expect(failed).toMatchObject([{ name: "slow-step" }]);
  const completed = await admin.request("GET", "/api/workflows?status=completed");
  for (const summary of JSON.parse(completed.text)) {
    // Values and steps may be large, and are those of the run alone.
    const { input, output, state, steps, ...rest } = await run(summary.id);
    expect(summary).toEqual(rest);
    expect([typeof input, typeof output, typeof state]).not.toContain("undefined");
    expect(steps).toBeArray();
  }
  for (const path of ["", "/definitions", "/wf_1"])
    expect((await client.request("GET", `/api/workflows${path}`)).status).toBe(403);
});

test("an invalid request is rejected with its error code", async () => {
  const refusals = [
    ["start", {}, "MISSING_FIELD"],
    ["start", { name: "nope" }, "WORKFLOW_START_FAILED"],
    ["start", { name: "greet", colour: 1 }, "INVALID_DATA"],
    ["wf_x/event", {}, "MISSING_FIELD"],
    ["wf_x/event", { event: "x" }, "WORKFLOW_EVENT_FAILED"],
    ["wf_x/advance", {}, "WORKFLOW_ADVANCE_FAILED"],
    ["wf_x/cancel", {}, "WORKFLOW_CANCEL_FAILED"],
    ["wf_x/retry", {}, "WORKFLOW_RETRY_FAILED"],
  ] as const;
  for (const [path, body, code] of refusals) {
    const { status, text } = await admin.request("POST", `/api/workflows/${path}`, body);
    expect([path, status, text]).toEqual([path, 400, expect.stringContaining(code)]);
  }
  expect((await admin.request("GET", "/api/workflows/wf_x")).status).toBe(404);
  expect((await admin.request("GET", "/api/workflows?status=odd")).status).toBe(400);
  const large = { name: "greet", input: { who: "x".repeat(300_000) } };
  expect((await admin.request("POST", "/api/workflows/start", large)).status).toBe(413);
});

test("a run can continue as new: same id, no steps, until it ends", async () => {
  const id = await start("pages", { page: 1, keys: [] });
  await ended(id, "WaitingForEvent");
  expect(await run(id)).toMatchObject({ input: { page: 3 }, generation: 2, state: { page: 3 } });
  const seen = await client.request("POST", "/api/fn/stateOf", { id });
  expect(seen.body).toMatchObject({
    id,
    name: "pages",
    status: "waiting",
    state: { page: 3 },
    output: null,
  });
  await client.request("POST", "/api/fn/tell", { id, event: "last", data: "done" });
  const { output, steps } = await ended(id);
  const keys = [`${id}:000000`, `${id}:1:0`, `${id}:2:0`];
  expect(output).toEqual({ keys, generation: 2, last: "done" });
  expect(steps).toMatchObject([{ name: "read" }, { name: "event:last" }]);
  const none = await client.request("POST", "/api/fn/stateOf", { id: "wf_none" });
  expect(none.text).toBe("null");
});
