// The types of function calls, by reference and by name. Checked by `npm test`, never run.
import {
  functionError,
  middleware,
  mutation,
  query,
  type ActionCtx,
  type MiddlewareCall,
  type MutationCtx,
} from "@pylonsync/functions";
import {
  callFn,
  db,
  functionError as callError,
  streamFn,
  useAction,
  useEngine,
  useFn,
  useMutation,
} from "@pylonsync/react";
import type { TestApp } from "@pylonsync/testing";
import type { WorkflowTools } from "@pylonsync/workflows";
import { type } from "arktype";
import * as valibot from "valibot";
import { z } from "zod";
import { api, internal } from "./pylon.client.ts";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Equal<A, B>): void {}

export async function checkClient(name: string): Promise<void> {
  same<typeof api.messages.send, "messages.send">(true);
  // @ts-expect-error an internal function is not in the api
  void api.messages.store;
  const sent = await callFn(api.messages.send, { text: "hi" });
  same<typeof sent, { id: string }>(true);
  await callFn("messages.send", { text: "hi", loud: true }, { token: "t" });
  // @ts-expect-error the text is missing
  await callFn(api.messages.send, {});
  // @ts-expect-error the arguments are missing
  await callFn("messages.send");
  // @ts-expect-error a number is not a string
  await callFn("messages.send", { text: 1 });
  const other = await callFn(name, { any: 1 });
  same<typeof other, unknown>(true);
  const typed = await callFn<{ n: number }>("elsewhere");
  same<typeof typed, { n: number }>(true);
  await callFn("elsewhere", { any: 1 });
  const texts = streamFn(api.messages.send, { text: "hi" });
  same<typeof texts, AsyncGenerator<string, { id: string }>>(true);
  // @ts-expect-error the text is missing
  streamFn(api.messages.send);
  const { id } = await db.fn(api.messages.send, { text: "hi" });
  same<typeof id, string>(true);
  // @ts-expect-error a client can't call an internal function
  await db.fn(internal.messages.store, { text: "hi" });
  // @ts-expect-error the text is missing
  await useFn(api.messages.send).call({});
  const send = useMutation(api.messages.send);
  same<typeof send.data, { id: string } | null>(true);
  const result = await useAction(useEngine(), api.messages.send)({ text: "hi" });
  same<typeof result, { id: string }>(true);
  const live = db.useFunction(api.countTasks, { rank: 1 });
  same<NonNullable<typeof live.data>["count"], number>(true);
}

/** The tools of a workflow know the functions of the app. */
export async function checkWorkflow(tools: WorkflowTools, name: string): Promise<void> {
  await tools.runMutation(internal.messages.store, { text: "hi" }, { retries: 1 });
  // @ts-expect-error a number is not a string
  await tools.runMutation(internal.messages.store, { text: 1 });
  // @ts-expect-error a query is not a mutation
  await tools.runMutation(api.countTasks, { rank: 1 });
  await tools.step("count", async ({ runQuery, runAction }) => {
    const { count } = await runQuery(api.countTasks, { rank: 1 });
    same<typeof count, number>(true);
    const { id } = await runAction(api.messages.send, { text: "hi" });
    same<typeof id, string>(true);
    // @ts-expect-error the text is missing
    await runAction(api.messages.send);
    const other = await runQuery(name, { any: 1 });
    same<typeof other, unknown>(true);
  });
}

/** A missing value is an absent id, and finds nothing. */
export async function checkMissing(ctx: MutationCtx, id?: string): Promise<void> {
  await ctx.db.insert("Tag", { id, name: "a" });
  await ctx.db.get("Tag", null);
  await ctx.db.lookup("Tag", "name", null);
  // @ts-expect-error a variable that is undefined finds no wrong row
  await ctx.db.get("Tag", id);
}

/** Errors that a function declares are distinguished by their codes, on each side. */
export function checkErrors(thrown: unknown): void {
  const { error } = useMutation(api.rename);
  if (error?.code === "TAKEN") same<typeof error.data.by, string>(true);
  if (error?.code === "LOCKED") same<keyof typeof error.data, never>(true);
  if (error?.code === "RATE_LIMITED") same<typeof error.data, undefined>(true);
  // @ts-expect-error the function never throws this code
  void (error?.code === "NOPE");
  same<ReturnType<typeof useFn<"countTasks">>["error"], Error | null>(true);
  const live = db.useFunction(api.countTasks, { rank: 1 });
  same<typeof live.error, Error | null>(true);
  const ofCall = callError(api.rename, thrown);
  if (ofCall?.code === "TAKEN") same<typeof ofCall.data.tries, number | undefined>(true);
  const ofRun = functionError(api.rename, thrown);
  if (ofRun?.code === "TAKEN") same<typeof ofRun.data.tries, number | undefined>(true);
  // @ts-expect-error only a client gets UNREACHABLE
  void (ofRun?.code === "UNREACHABLE");
}

export async function checkAction(ctx: ActionCtx, name: string): Promise<void> {
  const id = await ctx.runMutation(internal.messages.store, { text: "hi" });
  same<typeof id, string>(true);
  const { renamed } = await ctx.runMutation("rename", { id: "x", title: "y" });
  same<typeof renamed, boolean>(true);
  await ctx.runMutation("rename", { id: "x", title: "y" }, { idempotencyKey: "k" });
  // @ts-expect-error there is no such option
  await ctx.runMutation("rename", { id: "x", title: "y" }, { key: "k" });
  const { count } = await ctx.runQuery(api.countTasks);
  same<typeof count, number>(true);
  // @ts-expect-error it is a query
  await ctx.runMutation(api.countTasks);
  // @ts-expect-error it is a mutation
  await ctx.runQuery("rename", { id: "x", title: "y" });
  // @ts-expect-error there is no such function
  await ctx.runQuery("nope");
  // @ts-expect-error the title is missing
  await ctx.runMutation("rename", { id: "x" });
  // An expected result type does not disable the checks of the arguments.
  // @ts-expect-error the title is missing
  const told: { renamed: boolean } = await ctx.runMutation("rename", { id: "x" });
  void told;
  // Apps of the public system name the result's type in the call.
  const said = await ctx.runMutation<{ closed: boolean }>("closeLot", { lotId: "x" });
  same<typeof said, { closed: boolean }>(true);
  const list = await ctx.runQuery<string[]>("lots");
  same<typeof list, string[]>(true);
  const any = await ctx.runAction(name, { anything: 1 });
  same<typeof any, unknown>(true);
}

export async function checkScheduler(ctx: MutationCtx, name: string): Promise<void> {
  await ctx.scheduler.runAfter(10, api.messages.send, { text: "hi" }, { priority: "low" });
  await ctx.scheduler.runAt(10, "countTasks");
  await ctx.scheduler.runAfter(10, name, { anything: 1 });
  // @ts-expect-error the text is missing
  await ctx.scheduler.runAfter(10, api.messages.send, {});
  // @ts-expect-error there is no such function
  await ctx.scheduler.runAfter(10, "nope");
}

export function checkSchemas(): void {
  const made = query({
    args: z.object({ n: z.coerce.number<string>(), tags: z.array(z.string()).default([]) }),
    returns: z.object({ id: z.string() }),
    handler: (_ctx, args) => {
      same<typeof args, { n: number; tags: string[] }>(true);
      return { id: "a", more: 1 };
    },
  });
  type Types = NonNullable<(typeof made)["__types"]>;
  same<Types["args"]["n"], string>(true);
  same<Types["args"]["tags"], string[] | undefined>(true);
  same<Types["result"], { id: string }>(true);
  query({
    args: type({ title: "string", "done?": "boolean" }),
    handler: (_ctx, args) => same<(typeof args)["done"], boolean | undefined>(true),
  });
  query({
    args: valibot.object({ title: valibot.string() }),
    handler: (_ctx, args) => same<typeof args, { title: string }>(true),
  });
}

const withUser = middleware(async ({ ctx, next }) => next({ user: ctx.auth.userId ?? "" }));
const withWriter = middleware(async ({ ctx, next }: MiddlewareCall<MutationCtx>) =>
  next({ add: (name: string) => ctx.db.insert("Tag", { name }) }),
);
const withTeam = middleware(async ({ ctx, next }: MiddlewareCall<{ readonly user: string }>) =>
  next({ team: `${ctx.user}'s` }),
);

export function checkMiddleware(): void {
  mutation({
    auth: { roles: ["editor"] },
    rateLimit: { max: 5, windowSecs: 60, by: "address" },
    timeoutSecs: 5,
    secrets: ["KEY"],
    middleware: [withUser, withWriter, withTeam],
    handler: (ctx) => {
      same<typeof ctx.user, string>(true);
      same<typeof ctx.team, string>(true);
      same<typeof ctx.secrets.KEY, string>(true);
      // @ts-expect-error the secret is not declared
      void ctx.secrets.OTHER;
      return ctx.add(ctx.user);
    },
  });
  query({
    middleware: [withUser],
    handler: (ctx) => {
      // @ts-expect-error no middleware adds it
      void ctx.team;
      return ctx.db.count("Task", { title: ctx.user });
    },
  });
  // @ts-expect-error a query cannot write
  query({ middleware: [withWriter], handler: () => 1 });
  // @ts-expect-error no middleware in the list adds the user
  query({ middleware: [withTeam], handler: () => 1 });
  // @ts-expect-error there is no such option
  query({ ratelimit: { max: 1, windowSecs: 1 }, handler: () => 1 });
  // @ts-expect-error there is no such count
  query({ rateLimit: { max: 1, windowSecs: 1, by: "ip" }, handler: () => 1 });
}

export async function checkTests(t: TestApp, name: string): Promise<void> {
  const sent = await t.run(api.messages.send, { text: "hi" }, { as: "ann" });
  same<typeof sent, { id: string }>(true);
  const stored = await t.as("ann").run(internal.messages.store, { text: "hi" });
  same<typeof stored, string>(true);
  const typed = await t.run<{ n: number }>("elsewhere", {}, { as: null });
  same<typeof typed, { n: number }>(true);
  const other = await t.run(name);
  same<typeof other, unknown>(true);
}
