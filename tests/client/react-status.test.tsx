import { afterAll, beforeAll, expect, test } from "bun:test";
import { internalAction, mutation } from "@pylonsync/functions";
import { EngineProvider, useJob, useWorkflow } from "@pylonsync/react";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { workflow } from "@pylonsync/workflows";
import { Window } from "happy-dom";
import { StrictMode, useState, type ReactElement } from "react";
import { renderToString } from "react-dom/server";
import { TestClient, until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

/** The progress that the job reports; it ends at 1. */
let fraction = 0.25;
let isPacked = false;

const app = appOf(
  buildManifest({
    name: "react-status",
    version: "1.0.0",
    access: "public",
    entities: [entity("Note", { text: field.string() })],
  }),
  {
    load: internalAction({
      handler: async (ctx) => {
        let shown = -1;
        await until(async () => {
          if (shown !== fraction) await ctx.job?.setProgress(fraction, `at ${fraction}`);
          shown = fraction;
          return fraction === 1;
        });
      },
    }),
    begin: mutation({ handler: (ctx) => ctx.scheduler.runAfter(0, "load") }),
    order: mutation({ handler: (ctx) => ctx.workflows.start("pack") }),
  },
  [
    workflow("pack", async (_ctx, { step, setState }) => {
      setState({ at: "the shelf" });
      await step("look", () => null);
      await step("pack", () => until(() => isPacked));
      setState({ at: "the door" });
    }),
  ],
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer(app);
});
afterAll(() => server.stop());

let show = (_job: string | null, _run: string | null): void => undefined;

function Status(): ReactElement {
  const [{ job: jobId, run: runId }, setIds] = useState<{ job: string | null; run: string | null }>(
    {
      job: null,
      run: null,
    },
  );
  show = (job, run) => setIds({ job, run });
  const job = useJob(jobId);
  const run = useWorkflow<{ readonly at: string }>(runId);
  const { progress, status } = job.data ?? {};
  return (
    <p>
      {[
        job.loading ? "loading" : (job.error?.message ?? `${status} ${progress?.note}`),
        run.loading ? "loading" : `${run.data?.status} ${run.data?.state?.at}`,
      ].join(", ")}
    </p>
  );
}

test("useJob and useWorkflow show the progress, and nothing if there is none", async () => {
  const window = new Window({ url: "http://localhost/" });
  const restore: Record<string, unknown> = {};
  for (const name of ["window", "document"]) restore[name] = Reflect.get(globalThis, name);
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const page = (
    <EngineProvider baseUrl={server.url} token={ADMIN_TOKEN} persist={false}>
      <Status />
    </EngineProvider>
  );
  expect(renderToString(page)).toBe("<p>undefined undefined, undefined undefined</p>");
  Object.assign(globalThis, { window, document: window.document });
  const { createRoot } = await import("react-dom/client");
  const container = window.document.createElement("div");
  const root = createRoot(container as never);
  const shows = (text: string): Promise<void> =>
    until(() => container.innerHTML === `<p>${text}</p>`);
  const call = async (name: string): Promise<string> =>
    JSON.parse((await admin.request("POST", `/api/fn/${name}`, {})).text) as string;
  try {
    root.render(<StrictMode>{page}</StrictMode>);
    await shows("undefined undefined, undefined undefined");
    const job = await call("begin");
    show(job, null);
    await shows("running at 0.25, undefined undefined");
    fraction = 0.75;
    await shows("running at 0.75, undefined undefined");
    fraction = 1;
    await shows("completed at 1, undefined undefined");
    show(job, await call("order"));
    await until(() => container.innerHTML.includes("running"));
    isPacked = true;
    await shows("completed at 1, completed the door");
    show("not-there", null);
    await until(() => container.innerHTML.includes("The job does not exist"));
  } finally {
    root.unmount();
    await reactSettled();
    await window.happyDOM.close();
    Object.assign(globalThis, restore);
  }
});
