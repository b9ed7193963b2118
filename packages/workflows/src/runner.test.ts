import { expect, test } from "bun:test";
import { createRunner, WorkflowRunner } from "./runner.ts";
import { workflow } from "./workflow.ts";

test("a runner survives values that JSON can't represent, and invalid requests", async () => {
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  const runner = await createRunner([
    workflow("count", (_ctx, { step }) => step("total", () => 12n)),
    workflow("circle", () => circle),
  ]).serve(0);
  const ask = async (name: string, steps: unknown): Promise<unknown> => {
    const body = { workflow_id: "w", workflow_name: name, completed_steps: steps };
    const response = await fetch(`http://127.0.0.1:${runner.port}/run`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    return { status: response.status, ...(await response.json()) };
  };
  try {
    expect(await ask("count", [])).toMatchObject({
      status: 200,
      action: "fail",
      step_name: "total",
      error: expect.stringContaining("can't be represented in JSON"),
    });
    expect(await ask("circle", [])).toMatchObject({ status: 200, action: "fail" });
    for (const steps of [[null], [1], [{}], {}])
      expect(await ask("count", steps)).toMatchObject({ status: 400 });
  } finally {
    await runner.stop();
  }
});

test("a runner responds to servers, and to no web page", async () => {
  let runs = 0;
  const pay = workflow("pay", async (_ctx, { step }) => step("pay", () => (runs += 1)));
  const runner = await createRunner([pay]).serve(0);
  const body = JSON.stringify({ workflow_id: "w", workflow_name: "pay", completed_steps: [] });
  const ask = async (headers: Record<string, string>): Promise<number> => {
    const url = `http://127.0.0.1:${runner.port}/run`;
    return (await fetch(url, { method: "POST", body, headers })).status;
  };
  try {
    // Requests that a page may send without a preflight, and one that a rebound host name may send.
    for (const origin of ["https://evil.example", "null", `http://evil.example:${runner.port}`])
      expect(await ask({ Origin: origin, "Content-Type": "text/plain" })).toBe(403);
    expect(runs).toBe(0);
    expect(await ask({ "Content-Type": "application/json" })).toBe(200);
    expect(runs).toBe(1);
  } finally {
    await runner.stop();
  }
});

test("a runner advances a run by one step without a server", async () => {
  const greet = workflow("greet", async (_ctx, { step }) => step("hello", () => "hello"));
  const runner = new WorkflowRunner([greet]);
  const request = {
    workflow_id: "w",
    workflow_name: "greet",
    input: {},
    completed_steps: [],
    current_step: 0,
  };
  const reply = await runner.advance(request);
  expect(reply).toMatchObject({ step_name: "hello", output: "hello" });
  expect(await runner.advance({ ...request, workflow_name: "other" })).toEqual({
    action: "fail",
    error: 'The runner has no workflow "other".',
  });
  expect(() => new WorkflowRunner([greet, greet])).toThrow("have the same name");
});
