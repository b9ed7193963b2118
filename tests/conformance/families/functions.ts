import type { Caller } from "../caller.ts";
import { adminOf, type Family } from "../check.ts";
import { during } from "../during.ts";
import { exactly, expectShape, holding, isFields, text } from "../shape.ts";

/** Calls of functions, as JSON and as a stream, webhooks, and scheduled calls. */
export const functions: Family = {
  "a query is given its arguments and who calls": async ({ ann, nobody }) => {
    await ann.expect(
      ["POST", "/api/fn/echo", { text: "hi", count: 2 }],
      200,
      exactly({ text: "hi", count: 2, userId: ann.userId }),
    );
    await nobody.expect(["POST", "/api/fn/echo", { text: "hi" }], 200, { userId: null });
  },
  "arguments are checked by their names": async ({ ann }) => {
    for (const [args, field] of [
      [{ text: 1 }, "text"],
      [{ text: "a", count: 1.5 }, "count"],
      [{ text: "a", colour: "red" }, "colour"],
      [{}, "text"],
    ] as const)
      await ann.refused(["POST", "/api/fn/echo", args], 400, { code: "INVALID_ARGS", field });
  },
  "a function that does not exist is refused with 404": async ({ ann }) => {
    await ann.refused(["POST", "/api/fn/nothing", {}], 404, { code: "FN_NOT_FOUND" });
  },
  "an internal function can't be called": async ({ ann }) => {
    const body = { group: "g", userId: ann.userId };
    const { status } = await ann.request("POST", "/api/fn/addFor", body);
    expectShape(status, 404);
  },
  "a mutation that throws keeps nothing, and its error is shown": async ({ ann, unique }) => {
    const group = unique("fails");
    await ann.refused(["POST", "/api/fn/addTask", { title: "t", group, fail: true }], 400, {
      code: "ON_PURPOSE",
    });
    expectShape(await countOf(ann, group), 0);
  },
  "a mutation with an Idempotency-Key runs once": async ({ ann, unique }) => {
    const [group, key] = [unique("once"), unique("key")];
    const request = ["POST", "/api/fn/addTask", { title: "t", group }] as const;
    const headers = { "Idempotency-Key": key };
    const { id } = await ann.expect([...request, headers], 200, { id: text });
    await ann.expect([...request, headers], 200, { id: String(id) });
    expectShape(await countOf(ann, group), 1);
  },
  "an action runs mutations and queries": async ({ ann, unique }) => {
    await ann.expect(["POST", "/api/fn/addTwice", { group: unique("twice") }], 200, { count: 2 });
  },
  "a mistake of the app keeps its message to itself": async ({ ann }) => {
    const answer = await ann.request("POST", "/api/fn/breaks", {});
    expectShape(
      { status: answer.status, body: answer.body },
      { status: 500, body: { error: { code: "HANDLER_ERROR", message: text } } },
    );
  },
  "a call is answered as an event stream where that is asked for": async ({ ann }) => {
    const body = JSON.stringify({ parts: ["one", "two"] });
    const stream = await ann.stream("/api/fn/tell", { method: "POST", body });
    await during(stream, async ({ messages }) => {
      for (const data of ["one", "two"]) await messages.next({ event: "message", data });
      await messages.next({ event: "result", data: { told: 2 } });
    });
  },
  "a scheduled call is made after its mutation": async ({ ann, unique }) => {
    const group = unique("later");
    await during(await ann.socket("", ["pylon.v2"]), async ({ messages, send }) => {
      send({ type: "subscribe", id: 1, function: "countTasks", args: { group } });
      await messages.next({ type: "result", value: 0 });
      await ann.expect(["POST", "/api/fn/addLater", { group }], 200, { job: text });
      await messages.next({ type: "result", value: 1 });
    });
  },
  "a call that a failed mutation had scheduled is not made": async ({ ann, unique }) => {
    const [failed, group] = [unique("not"), unique("fence")];
    await ann.refused(["POST", "/api/fn/addLater", { group: failed, fail: true }], 400, {
      code: "ON_PURPOSE",
    });
    // Jobs start in order: when a later one is done, the earlier one would be done too.
    await during(await ann.socket("", ["pylon.v2"]), async ({ messages, send }) => {
      send({ type: "subscribe", id: 1, function: "countTasks", args: { group } });
      await ann.expect(["POST", "/api/fn/addLater", { group }], 200);
      await messages.next({ type: "result", value: 1 });
    });
    expectShape(await countOf(ann, failed), 0);
  },
  "a webhook is given the raw body, and nobody's session": async ({ ann }) => {
    await ann.expect(["POST", "/api/webhooks/receive", "a=1&b=2"], 200, {
      rawBody: "a=1&b=2",
      method: "POST",
      userId: null,
    });
    await ann.refused(["GET", "/api/webhooks/receive"], 405, { code: "METHOD_NOT_ALLOWED" });
  },
  "the admin sees the functions and the manifest": async (wire) => {
    const admin = adminOf(wire);
    const { body } = await admin.request("GET", "/api/fn");
    expectShape(body, holding({ name: "echo", fn_type: "query" }));
    const manifest = await admin.expect(["GET", "/api/manifest"], 200, { name: "conformance" });
    expectShape(isFields(manifest) && manifest["entities"], holding({ name: "Task" }));
  },
};

async function countOf(caller: Caller, group: string): Promise<unknown> {
  const { status, body } = await caller.request("POST", "/api/fn/countTasks", { group });
  expectShape(status, 200);
  return body;
}
