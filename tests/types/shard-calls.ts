// The types of a shard's calls and of their results. Checked by `npm test`, never run.
import type { ShardResult, ShardStep } from "@pylonsync/functions";
import { api, internal } from "./pylon.client.ts";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Equal<A, B>): void {}

export function checkCalls(step: ShardStep, name: string): void {
  same<number, ReturnType<typeof step.get>>(true);
  step.run(api.messages.send, { text: "hi" }, { as: "ann", data: 1 });
  step.run("messages.store", { text: "hi" });
  step.run(internal.messages.store, { text: "hi" });
  step.run(name, { any: 1 });
  // @ts-expect-error the text is missing
  step.run(api.messages.send);
  // @ts-expect-error a number is not a string
  step.run("messages.send", { text: 1 });
  // @ts-expect-error there is no such function
  step.run("messages.sent", { text: "hi" });
  // @ts-expect-error there is no such option
  step.run("messages.send", { text: "hi" }, { to: 1 });
  step.get("Task", "id");
  step.read("Task", { rank: { $gt: 1 } }, { as: "ann" });
  // @ts-expect-error there is no such entity
  step.get("Tasks", "id");
  // @ts-expect-error there is no such field
  step.read("Task", { ranks: 1 });
}

export function checkResults(result: ShardResult): void {
  if (result.error !== null) {
    same<typeof result.error.code, string>(true);
    same<typeof result.value, null>(true);
    return;
  }
  if (result.name === "messages.send") same<typeof result.value, { id: string }>(true);
  if (result.kind === "get" && result.name === "Task")
    same<NonNullable<typeof result.value>["rank"], number>(true);
  if (result.kind === "read" && result.name === "Task")
    same<(typeof result.value)[number]["title"], string>(true);
}
