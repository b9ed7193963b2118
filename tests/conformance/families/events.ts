import type { Family } from "../check.ts";
import { during } from "../during.ts";
import { expectShape, matching, number } from "../shape.ts";
import { cursorOf } from "./pull.ts";

/** Changes over the event stream `/events`. */
export const events: Family = {
  "the stream is an event stream": async ({ ann }) => {
    await during(await ann.stream(`/events?${await cursorOf(ann)}`), ({ contentType }) => {
      expectShape(contentType, matching(/^text\/event-stream/));
    });
  },
  "it says hello, and hears of writes as a socket does": async ({ ann }) => {
    await during(await ann.stream(`/events?${await cursorOf(ann)}`), async ({ messages }) => {
      await messages.next({ data: { type: "hello", seq: number } });
      const id = await ann.insert("Task", { title: "streamed" });
      await messages.next({ data: { row_id: id, kind: "insert", data: { title: "streamed" } } });
      await ann.expect(["DELETE", `/api/entities/Task/${id}`], 200);
      await messages.next({ data: { row_id: id, kind: "delete" } });
    });
  },
  "a client that comes again is told of the changes meanwhile": async ({ ann }) => {
    const cursor = await cursorOf(ann);
    const id = await ann.insert("Task", { title: "meanwhile" });
    await during(await ann.stream(`/events?${cursor}`), async ({ messages }) => {
      await messages.next({ data: { row_id: id, kind: "insert" } });
    });
  },
  "it hears nothing of rows that it may not read": async ({ ann, bob }) => {
    await during(await ann.stream(`/events?${await cursorOf(ann)}`), async ({ messages }) => {
      const hidden = await bob.insert("Task", { title: "hidden" });
      const seen = await bob.insert("Task", { title: "seen", shared: true });
      await messages.next({ data: { row_id: seen } });
      expectShape(JSON.stringify(messages.all).includes(hidden), false);
    });
  },
  "a client without a cursor is connected, and hears what comes": async ({ ann }) => {
    await during(await ann.stream("/events"), async ({ messages }) => {
      await messages.next({ event: "comment", data: matching(/connected/) });
      const id = await ann.insert("Task", { title: "of an older client" });
      await messages.next({ data: { row_id: id, kind: "insert" } });
    });
  },
};
