import { LIVE_JOB, LIVE_WORKFLOW } from "@pylonsync/protocol";
import { action, internalAction, internalMutation, mutation, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { workflow } from "@pylonsync/workflows";
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { TestClient, until } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// Jobs and workflow runs that clients follow.

/** Lets a waiting job or step continue. */
let goOn: () => void = () => undefined;
const wait = (): Promise<void> =>
  new Promise((resolve) => {
    goOn = resolve;
  });

const app = appOf(
  buildManifest({
    name: "live-status",
    version: "1.0.0",
    access: "public",
    entities: [entity("Note", { text: field.string() })],
  }),
  {
    load: internalAction({
      args: { fails: v.optional(v.boolean()) },
      handler: async (ctx, { fails }) => {
        const gate = wait();
        await ctx.job?.setProgress(0.5, "half");
        await gate;
        if (fails === true) throw new Error("a secret of the app");
      },
    }),
    nothing: internalMutation({ handler: () => null }),
    chain: internalMutation({
      handler: (ctx) =>
        ctx.db.insert("Note", { text: "" }).then(async (id) => {
          const next = await ctx.scheduler.runAfter(60_000, "nothing");
          await ctx.db.update("Note", id, { text: next });
        }),
    }),
    begin: mutation({
      args: {
        name: v.string(),
        args: v.optional(v.looseObject({})),
        delayMs: v.optional(v.number()),
      },
      handler: (ctx, { name, args, delayMs = 0 }) =>
        ctx.scheduler.runAfter(delayMs, name, { ...args }, { maxRetries: 0 }),
    }),
    beginByAction: action({
      handler: (ctx) => ctx.scheduler.runAfter(60_000, "nothing"),
    }),
    many: mutation({
      handler: (ctx) => ctx.scheduler.runBatch([{ name: "nothing" }], { name: "nothing" }),
    }),
    start: mutation({ handler: (ctx) => ctx.workflows.start("deliver") }),
  },
  [
    workflow("deliver", async (_ctx, { step, setState, runWorkflow, waitForEvent }) => {
      setState({ at: "packed" });
      await step("pack", wait);
      setState({ at: "shipped" });
      const child = await waitForEvent<string>("shipped");
      await runWorkflow("child");
      return { secret: child };
    }),
    workflow("child", async (_ctx, { step }) => {
      await step("rest", wait);
    }),
  ],
);

let server: TestServer;
let admin: TestClient;
const sockets: QuerySocket[] = [];
beforeAll(async () => {
  server = await startServer(app);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());
afterEach(() => {
  for (const { socket } of sockets.splice(0)) socket.close();
});

async function connect(client: TestClient): Promise<QuerySocket> {
  const socket = await QuerySocket.open(client);
  sockets.push(socket);
  return socket;
}

async function call(client: TestClient, name: string, args: object = {}): Promise<string> {
  const { status, body, text } = await client.request("POST", `/api/fn/${name}`, args);
  if (status !== 200) throw new Error(text);
  return (body["result"] ?? JSON.parse(text)) as string;
}

const last = (socket: QuerySocket, id: number): object | undefined =>
  socket.outcomes(id).at(-1) as object | undefined;

/** Waits until the latest result has these fields. */
async function toBe(socket: QuerySocket, id: number, fields: object): Promise<void> {
  await until(() => Bun.deepMatch(fields, last(socket, id) ?? {}));
}

test("the user who scheduled a job can follow it to its end, and so can admins", async () => {
  const ann = await TestClient.guest(server.url);
  const socket = await connect(ann);
  const id = await call(ann, "begin", { name: "load" });
  const [own, operator] = [socket.call(LIVE_JOB, { id }), await connect(admin)];
  const theirs = operator.call(LIVE_JOB, { id });
  const half = { status: "running", attempts: 1, progress: { fraction: 0.5, note: "half" } };
  await toBe(socket, own, { id, name: "load", ...half, finishedAt: null, error: null });
  await toBe(operator, theirs, half);
  goOn();
  await toBe(socket, own, { status: "completed" });
  await toBe(operator, theirs, { status: "completed" });
  expect(last(socket, own)).toMatchObject({ finishedAt: expect.any(String) });
});

test("only admins see why a job failed", async () => {
  const ann = await TestClient.guest(server.url);
  const id = await call(ann, "begin", { name: "load", args: { fails: true } });
  const [socket, operator] = [await connect(ann), await connect(admin)];
  const own = socket.call(LIVE_JOB, { id });
  operator.call(LIVE_JOB, { id });
  await toBe(socket, own, { status: "running", progress: { fraction: 0.5, note: "half" } });
  goOn();
  await toBe(socket, own, { status: "dead", error: null });
  await until(() => operator.texts.includes("a secret of the app"));
  expect(socket.texts).not.toContain("secret");
});

test("another user's job looks like one that does not exist", async () => {
  const [ann, bob] = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
  const [own, others] = [await connect(ann), await connect(bob)];
  const nobody = await connect(new TestClient(server.url, null));
  const id = await call(ann, "begin", { name: "nothing", delayMs: 60_000 });
  // All of them follow the same job, in any order.
  const [bobs, anns, none] = [others, own, nobody].map((one) => one.call(LIVE_JOB, { id }));
  await toBe(own, anns ?? 0, { id, status: "pending" });
  expect(await others.told(bobs ?? 0, 1)).toEqual([{ failed: "NOT_FOUND" }]);
  expect(await nobody.told(none ?? 0, 1)).toEqual([{ failed: "NOT_FOUND" }]);
  const missing = others.call(LIVE_JOB, { id: "nothing-here" });
  expect(await others.told(missing, 1)).toEqual([{ failed: "NOT_FOUND" }]);
  // Only admins can follow a job that no user has started.
  const { body } = await admin.request("POST", "/api/jobs", { name: "nothing", delay_secs: 60 });
  const cron = nobody.call(LIVE_JOB, { id: body["id"] });
  expect(await nobody.told(cron, 1)).toEqual([{ failed: "NOT_FOUND" }]);
  expect(others.texts).not.toContain("pending");
});

test("a cancelled job is reported as cancelled", async () => {
  const ann = await TestClient.guest(server.url);
  const socket = await connect(ann);
  const id = await call(ann, "begin", { name: "nothing", delayMs: 60_000 });
  const own = socket.call(LIVE_JOB, { id });
  await toBe(socket, own, { status: "pending" });
  await admin.request("DELETE", `/api/jobs/${id}`);
  await toBe(socket, own, { status: "cancelled" });
});

test("jobs that an action, a batch and a job schedule belong to their user too", async () => {
  const ann = await TestClient.guest(server.url);
  const socket = await connect(ann);
  const byAction = socket.call(LIVE_JOB, { id: await call(ann, "beginByAction") });
  const after = socket.call(LIVE_JOB, { id: await call(ann, "many") });
  await toBe(socket, byAction, { status: "pending" });
  await toBe(socket, after, { status: "completed" });
  await call(ann, "begin", { name: "chain" });
  let next = "";
  await until(async () => {
    const { text } = await admin.request("POST", "/api/query/Note", {});
    next = (JSON.parse(text) as { readonly text: string }[])[0]?.text ?? "";
    return next !== "";
  });
  await toBe(socket, socket.call(LIVE_JOB, { id: next }), { status: "pending" });
});

test("the user who started a run can follow its state and steps, but not its results", async () => {
  const [ann, bob] = [await TestClient.guest(server.url), await TestClient.guest(server.url)];
  const [socket, others, operator] = [await connect(ann), await connect(bob), await connect(admin)];
  const id = await call(ann, "start");
  const [own, bobs] = [socket.call(LIVE_WORKFLOW, { id }), others.call(LIVE_WORKFLOW, { id })];
  const theirs = operator.call(LIVE_WORKFLOW, { id });
  expect(await others.told(bobs, 1)).toEqual([{ failed: "NOT_FOUND" }]);
  // The code of a step runs before the store knows of it.
  await toBe(socket, own, { id, name: "deliver", status: "running" });
  goOn();
  await toBe(socket, own, { status: "waiting", state: { at: "shipped" } });
  expect(last(socket, own)).toMatchObject({
    steps: [
      { name: "pack", kind: "step", status: "completed", finishedAt: expect.any(String) },
      { name: "shipped", kind: "event", status: "waiting", finishedAt: null },
    ],
  });
  const event = { event: "shipped", data: "a secret of the app" };
  await admin.request("POST", `/api/workflows/${id}/event`, event);
  let child = "";
  await until(async () => {
    const { body } = await admin.request("GET", `/api/workflows/${id}`);
    const steps = body["steps"] as { readonly child_id: string | null }[];
    child = steps.find(({ child_id: one }) => one !== null)?.child_id ?? "";
    return child !== "";
  });
  await toBe(socket, socket.call(LIVE_WORKFLOW, { id: child }), { name: "child" });
  await until(() => {
    goOn();
    return Bun.deepMatch({ status: "completed" }, last(socket, own) ?? {});
  });
  await toBe(operator, theirs, { status: "completed", output: { secret: event.data } });
  expect(last(socket, own)).toMatchObject({ output: null, error: null });
  expect(socket.texts).not.toContain(event.data);
});

test("an invalid request to follow is rejected, with the field", async () => {
  const socket = await connect(admin);
  const refused = async (args: object): Promise<unknown> => {
    const before = socket.all("error").length;
    socket.call(LIVE_JOB, args);
    await until(() => socket.all("error").length > before);
    return socket.all("error").at(-1);
  };
  expect(await refused({})).toMatchObject({ code: "INVALID_ARGS", field: "id" });
  expect(await refused({ id: 7 })).toMatchObject({ code: "INVALID_ARGS", field: "id" });
  expect(await refused({ id: "a", all: true })).toMatchObject({ field: "all" });
});
