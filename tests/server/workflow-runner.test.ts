import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { createRunner, workflow, type ServedRunner } from "@pylonsync/workflows";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// Workflows that run in a separate runner process, as apps of the public system have them.

const ran: string[] = [];
const ship = workflow<{ readonly order: number }>(
  "ship",
  async (ctx, { step, sleep, waitForEvent }) => {
    const packed = await step("pack", () => {
      ran.push("pack");
      return `order ${ctx.input.order}`;
    });
    await sleep("0.01s");
    const paid = await waitForEvent<{ readonly cents: number }>("paid");
    const [label, bill] = await Promise.all([
      step("label", () => void ran.push("label")),
      step("bill", () => paid.cents),
    ]);
    return { packed, label, bill, steps: ctx.completedSteps };
  },
);
const flaky = workflow("flaky", async (_ctx, { step }) =>
  step("third time", () => {
    ran.push("tried");
    if (ran.filter((one) => one === "tried").length < 3) throw new Error("Not yet.");
    return "done";
  }),
);
const outside = workflow("outside", (_ctx, { runMutation }) => runMutation("write"));

let runner: ServedRunner;
let server: TestServer;
let admin: TestClient;
beforeAll(async () => {
  runner = await createRunner([ship, flaky, outside]).serve(0);
  const own = workflow("own", () => "of the app");
  server = await startServer(
    appOf(
      buildManifest({
        name: "store",
        version: "1.0.0",
        entities: [entity("Order", { note: field.string() })],
      }),
      {},
      [own],
    ),
    { PYLON_WORKFLOW_RUNNER_URL: `http://127.0.0.1:${runner.port}/run` },
  );
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(async () => {
  await server.stop();
  await runner.stop();
});

async function start(name: string, input: object = {}): Promise<string> {
  const { body } = await admin.request("POST", "/api/workflows/start", { name, input });
  return String(body["id"]);
}

async function runOf(id: string, status: string): Promise<Readonly<Record<string, unknown>>> {
  const read = async (): Promise<Readonly<Record<string, unknown>>> =>
    (await admin.request("GET", `/api/workflows/${id}`)).body;
  await until(async () => (await read())["status"] === status);
  return read();
}

test("the server stores the steps, sleeps and events of a runner's workflow", async () => {
  const id = await start("ship", { order: 7 });
  await runOf(id, "WaitingForEvent");
  await admin.request("POST", `/api/workflows/${id}/event`, { event: "paid", data: { cents: 5 } });
  expect(await runOf(id, "Completed")).toMatchObject({
    output: {
      packed: "order 7",
      label: null,
      bill: 5,
      steps: ["pack", "sleep", "event:paid", "label", "bill"],
    },
  });
  expect(ran.filter((one) => one !== "tried")).toEqual(["pack", "label"]);
});

test("a failed step is retried", async () => {
  expect(await runOf(await start("flaky"), "Completed")).toMatchObject({ output: "done" });
});

test("a workflow or operation that a runner lacks fails the run with a message", async () => {
  for (const [name, reason] of [
    ["outside", "workflows/"],
    ["unheard", 'no workflow "unheard"'],
  ] as const)
    expect((await runOf(await start(name), "Failed"))["error"]).toContain(reason);
});

test("the app's own workflows come first, and a runner rejects malformed requests", async () => {
  expect(await runOf(await start("own"), "Completed")).toMatchObject({ output: "of the app" });
  const url = `http://127.0.0.1:${runner.port}/run`;
  for (const body of ["", "[]", '{"workflow_id":1}', "x".repeat(11 * 1024 * 1024)])
    expect((await fetch(url, { method: "POST", body })).status).toBe(400);
  expect((await fetch(url)).status).toBe(405);
});
