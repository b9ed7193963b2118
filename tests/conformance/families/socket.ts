import type { Caller, Socket } from "../caller.ts";
import type { Family } from "../check.ts";
import { during } from "../during.ts";
import { expectShape, number, text, type Shape } from "../shape.ts";
import { cursorOf } from "./pull.ts";

/** Changes over `/ws`: as a whole replica, and by subscriptions. */
export const socket: Family = {
  "a socket says hello once it has caught up": async ({ ann }) => {
    await during(await heardBy(ann), async ({ messages }) => {
      await messages.next({ type: "hello", seq: number });
    });
  },
  "it hears of an insert, an update and a delete": async ({ ann }) => {
    await during(await heardBy(ann), async ({ messages }) => {
      const id = await ann.insert("Task", { title: "heard" });
      const change = { entity: "Task", row_id: id, seq: number, timestamp: text };
      await messages.next({ ...change, kind: "insert", data: { id, title: "heard" } });
      await ann.expect(["PATCH", `/api/entities/Task/${id}`, { rank: 3 }], 200);
      await messages.next({ ...change, kind: "update", data: { rank: 3 } });
      await ann.expect(["DELETE", `/api/entities/Task/${id}`], 200);
      await messages.next({ ...change, kind: "delete" });
    });
  },
  "it hears nothing of rows that it may not read": async ({ ann, bob }) => {
    await during(await heardBy(ann), async ({ messages }) => {
      const hidden = await bob.insert("Task", { title: "hidden" });
      const seen = await bob.insert("Task", { title: "seen", shared: true });
      await messages.next({ row_id: seen, kind: "insert" });
      expectShape(JSON.stringify(messages.all).includes(hidden), false);
    });
  },
  "a row that can no longer be read is withdrawn by its id": async ({ ann, bob }) => {
    await during(await heardBy(bob), async ({ messages }) => {
      const id = await ann.insert("Task", { title: "for a while", shared: true });
      await messages.next({ row_id: id, kind: "insert" });
      await ann.expect(["PATCH", `/api/entities/Task/${id}`, { shared: false }], 200);
      await messages.next({ row_id: id, kind: "delete" });
    });
  },
  "a client that comes again is told of the changes meanwhile": async ({ ann }) => {
    const cursor = await cursorOf(ann);
    const id = await ann.insert("Task", { title: "meanwhile" });
    await during(await ann.socket(`?${cursor}`), async ({ messages }) => {
      await messages.next({ row_id: id, kind: "insert", data: { title: "meanwhile" } });
      await messages.next({ type: "hello" });
    });
  },
  "pylon.v2 is chosen where it is offered": async ({ ann }) => {
    await during(await ann.socket("", ["pylon.v2"]), ({ protocol }) => {
      expectShape(protocol, "pylon.v2");
    });
  },
  "a subscription has its rows, and each commit that changes them": async ({ ann, unique }) => {
    const group = unique("subscribed");
    const first = await ann.insert("Task", { title: "first", group });
    await during(await ann.socket("", ["pylon.v2"]), async ({ messages, send }) => {
      send({ type: "subscribe", id: 1, entity: "Task", where: { group } });
      const { sub } = await messages.next({ type: "joined", id: 1, sub: number });
      await messages.next({ type: "rows", sub: Number(sub), rows: [{ id: first }] });
      await messages.next({ type: "ready", sub: Number(sub), seq: number, epoch: text });
      const second = await ann.insert("Task", { title: "second", group });
      await messages.next(commitOf({ sub: Number(sub), rows: [{ id: second }] }));
      await ann.expect(["PATCH", `/api/entities/Task/${second}`, { rank: 2 }], 200);
      await messages.next(commitOf({ sub: Number(sub), patches: [{ id: second, rank: 2 }] }));
      await ann.expect(["DELETE", `/api/entities/Task/${first}`], 200);
      await messages.next(commitOf({ sub: Number(sub), gone: [first] }));
    });
  },
  "a subscription with a limit stays the first rows of its order": async ({ ann, unique }) => {
    const group = unique("limited");
    const ids = [];
    for (const rank of [1, 2]) ids.push(await ann.insert("Task", { title: "t", rank, group }));
    const [low = "", high = ""] = ids;
    await during(await ann.socket("", ["pylon.v2"]), async ({ messages, send }) => {
      const ask = { entity: "Task", where: { group }, order: { rank: "desc" }, limit: 1 };
      send({ type: "subscribe", id: 7, ...ask });
      await messages.next({ type: "rows", rows: [{ id: high }] });
      await messages.next({ type: "ready" });
      await ann.expect(["DELETE", `/api/entities/Task/${high}`], 200);
      await messages.next(commitOf({ rows: [{ id: low }], gone: [high] }));
    });
  },
  "a subscription that can't be is refused, and the socket goes on": async ({ ann }) => {
    await during(await ann.socket("", ["pylon.v2"]), async ({ messages, send }) => {
      send({ type: "subscribe", id: 1, entity: "Task", where: { colour: "red" } });
      await messages.next({ type: "error", id: 1, code: text, message: text });
      send({ type: "subscribe", id: 2, entity: "Task", where: { title: "none of them" } });
      await messages.next({ type: "joined", id: 2 });
    });
  },
  "a function is told again when what it read has changed": async ({ ann, unique }) => {
    const group = unique("live");
    await during(await ann.socket("", ["pylon.v2"]), async ({ messages, send }) => {
      send({ type: "subscribe", id: 1, function: "countTasks", args: { group } });
      await messages.next({ type: "result", value: 0 });
      await ann.insert("Task", { title: "counted", group });
      await messages.next({ type: "result", value: 1 });
    });
  },
};

function commitOf(change: Shape): Shape {
  return { type: "commit", seq: number, changes: [change] };
}

/** Opens a socket that has received the whole log, and receives all later changes. */
export async function heardBy(caller: Caller): Promise<Socket> {
  const open = await caller.socket("?since=0");
  await open.messages.next({ type: "hello" });
  return open;
}
