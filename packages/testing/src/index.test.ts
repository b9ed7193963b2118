import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import {
  action,
  http,
  internalMutation,
  middleware,
  mutation,
  query,
  v,
  verifyGithub,
} from "@pylonsync/functions";
import { createHmac } from "node:crypto";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { createTestApp, type TestApp } from "./index.ts";

const manifest = buildManifest({
  name: "notes",
  version: "1.0.0",
  entities: [entity("Note", { text: field.string(), ownerId: field.string().owner() })],
  policies: [
    policy({
      name: "own",
      entity: "Note",
      allowRead: "auth.userId == data.ownerId || 'moderator' in auth.roles",
      allowInsert: "auth.userId == data.ownerId && data.text != ''",
      allowWrite: "auth.userId == data.ownerId && data.text != ''",
    }),
  ],
  crons: [{ name: "hourly", schedule: "0 * * * *", function: "tick" }],
});

const audited = middleware(async ({ ctx, next }) => {
  if (ctx.auth.isGuest) throw ctx.error("NOT_FOR_GUESTS", "Sign up first.");
  return next();
});

const functions = {
  add: mutation({
    args: { text: v.string() },
    handler: async (ctx, { text }) => {
      if (ctx.auth.userId === null) throw ctx.error("UNAUTHENTICATED", "Sign in first.");
      await ctx.scheduler.runAfter(90_000, "remind", { text });
      return ctx.db.insert("Note", { text, ownerId: ctx.auth.userId });
    },
  }),
  remind: internalMutation({
    args: { text: v.string() },
    handler: (ctx, { text }) => ctx.db.insert("Note", { text: `again: ${text}`, ownerId: "job" }),
  }),
  tick: mutation({
    handler: (ctx) => ctx.db.insert("Note", { text: "tick", ownerId: "cron" }),
  }),
  region: query({ args: {}, handler: (ctx) => ctx.env["REGION"] ?? null }),
  forEditors: query({ auth: { roles: ["editor"] }, args: {}, handler: () => "edited" }),
  ownNote: mutation({
    auth: "exists(Note, ownerId == auth.userId && text == input.text)",
    args: { text: v.string() },
    middleware: [audited],
    handler: (ctx, { text }) => ctx.db.as(ctx.auth).query("Note", { text }),
  }),
  hidden: internalMutation({ auth: "admin", args: {}, handler: () => "hidden" }),
  "mail.welcome": mutation({
    args: { to: v.string() },
    handler: (ctx, { to }) => ctx.email.send({ to, subject: "Welcome", text: "Hello." }),
  }),
  "hooks.github": http({
    method: "POST",
    secrets: ["GITHUB_SECRET"],
    async handler(request, ctx) {
      const { id } = await verifyGithub(request, ctx.secrets["GITHUB_SECRET"] ?? "");
      const note = { text: id };
      const added = await ctx.runMutation("store", note, { idempotencyKey: `github:${id}` });
      return Response.json({ added, by: ctx.auth.userId }, { status: 202 });
    },
  }),
  store: internalMutation({
    args: { text: v.string() },
    handler: (ctx, { text }) => ctx.db.insert("Note", { text, ownerId: "github" }),
  }),
  file: http({
    method: ["GET", "PUT"],
    path: "/files/:name",
    auth: "user",
    maxBodyBytes: 10,
    handler: async (request, ctx) => {
      if (request.method === "PUT") return new Response(null, { status: 204 });
      if (ctx.params["name"] === "broken") throw new Error("a bug");
      return new Response(`${ctx.params["name"]} of ${ctx.auth.userId}`);
    },
  }),
  both: action({ args: {}, handler: (ctx) => ctx.runMutation("add", { text: "by an action" }) }),
};

let t: TestApp;
beforeAll(async () => {
  t = await createTestApp({ manifest, functions }, { env: { REGION: "here", GITHUB_SECRET: "s" } });
});
afterAll(() => t.close());
beforeEach(() => t.reset());

test("a function runs as the user that a test names, or anonymously", async () => {
  const id = await t.run<string>("add", { text: "milk" }, { as: "ann" });
  expect(await t.db.get("Note", id)).toMatchObject({ text: "milk", ownerId: "ann" });
  await t.as("bob").run("both");
  expect(await t.db.count("Note", { ownerId: "bob" })).toBe(1);
  await expect(t.run("add", { text: "milk" })).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  await expect(t.run("add", { txt: "" }, { as: "ann" })).rejects.toMatchObject({
    code: "INVALID_ARGS",
  });
  expect(await t.run("region")).toBe("here");
});

test("an HTTP function gets a signed request, and is idempotent", async () => {
  const body = '{"zen":"Keep it simple: ä"}';
  const signature = createHmac("sha256", "s").update(body).digest("hex");
  const send = (signed: string): Promise<Response> =>
    t.as("ann").fetch("/api/http/hooks/github", {
      method: "POST",
      headers: { "X-Hub-Signature-256": `sha256=${signed}`, "X-GitHub-Delivery": "d1" },
      body,
    });
  const answers = [await send(signature), await send(signature)];
  expect(answers.map(({ status }) => status)).toEqual([202, 202]);
  // It is public: the user of the test does not count.
  const [row] = await t.db.list("Note");
  const added = { added: row?.id ?? "", by: null };
  for (const answer of answers) expect(await answer.json()).toEqual(added);
  expect(await t.db.count("Note")).toBe(1);
  const refused = await send("00");
  expect(refused.status).toBe(401);
  expect(await refused.json()).toMatchObject({ error: { code: "INVALID_SIGNATURE" } });
});

test("an HTTP function has its path, methods and auth, and errors are responses", async () => {
  const ann = t.as("ann");
  expect(await (await ann.fetch("/files/a%20b")).text()).toBe("a b of ann");
  expect((await ann.fetch("/files/x", { method: "PUT", body: "short" })).status).toBe(204);
  const codeOf = async (answer: Promise<Response>): Promise<unknown> => {
    const refusal = await answer;
    const { error } = (await refusal.json()) as { readonly error: { readonly code: string } };
    return [refusal.status, error.code];
  };
  expect(await codeOf(t.fetch("/files/x"))).toEqual([401, "AUTH_REQUIRED"]);
  expect(await codeOf(ann.fetch("/nothing"))).toEqual([404, "NOT_FOUND"]);
  expect(await codeOf(ann.fetch("/files/x", { method: "POST" }))).toEqual([
    405,
    "METHOD_NOT_ALLOWED",
  ]);
  const large = ann.fetch("/files/x", { method: "PUT", body: "longer than ten bytes" });
  expect(await codeOf(large)).toEqual([413, "PAYLOAD_TOO_LARGE"]);
  expect(await codeOf(ann.fetch("/files/broken"))).toEqual([500, "HANDLER_ERROR"]);
});

test("auth applies to the user that a test names, but not to an internal function", async () => {
  await expect(t.run("forEditors")).rejects.toMatchObject({ code: "AUTH_REQUIRED" });
  await expect(t.as("ann").run("forEditors")).rejects.toMatchObject({ code: "FORBIDDEN" });
  expect(await t.as({ userId: "ed", roles: ["editor"] }).run("forEditors")).toBe("edited");
  expect(await t.as({ userId: null, isAdmin: true }).run("forEditors")).toBe("edited");
  expect(await t.run("hidden")).toBe("hidden");
  const mine = { text: "mine" };
  const refused = t.run("ownNote", mine, { as: "ann" });
  await expect(refused).rejects.toMatchObject({ code: "POLICY_DENIED" });
  await t.as("ann").insert("Note", mine);
  expect(await t.run("ownNote", mine, { as: "ann" })).toMatchObject([mine]);
  const guest = { userId: "ann", isGuest: true };
  const asGuest = t.run("ownNote", mine, { as: guest });
  await expect(asGuest).rejects.toMatchObject({ code: "NOT_FOR_GUESTS" });
});

test("a function's mail is sent by its job, as time advances", async () => {
  await t.run("mail.welcome", { to: "ann@example.com" });
  expect(await t.mails()).toEqual([]);
  await t.advance(0);
  expect(await t.mails()).toMatchObject([{ to: "ann@example.com", subject: "Welcome" }]);
});

test("an inserted row may have an id", async () => {
  expect(await t.as("ann").insert("Note", { id: "n1", text: "mine" })).toBe("n1");
  expect(await t.db.insert("Note", { id: undefined, text: "x", ownerId: "a" })).not.toBe("n1");
  expect(await t.db.get("Note", "n1")).toMatchObject({ text: "mine", ownerId: "ann" });
  await expect(t.db.insert("Note", { id: "n/1", text: "x" })).rejects.toMatchObject({
    code: "INVALID_ID",
  });
});

test("policies apply to each user, and permission checks write nothing", async () => {
  const id = await t.as("ann").insert("Note", { text: "mine" });
  const [ann, bob] = [t.as("ann"), t.as("bob")];
  const moderator = t.as({ userId: "mo", roles: ["moderator"] });
  expect([await ann.canRead("Note", id), await bob.canRead("Note", id)]).toEqual([true, false]);
  expect(await moderator.canRead("Note", { id })).toBe(true);
  expect(await t.as(null).canRead("Note", id)).toBe(false);
  expect(await ann.canUpdate("Note", id, { text: "new" })).toBe(true);
  expect(await ann.canUpdate("Note", id, { text: "" })).toBe(false);
  expect(await bob.canUpdate("Note", id, { text: "new" })).toBe(false);
  expect(await moderator.canDelete("Note", id)).toBe(false);
  expect(await ann.canDelete("Note", id)).toBe(true);
  expect(await bob.canInsert("Note", { text: "" })).toBe(false);
  expect(await bob.canInsert("Note", { text: "x" })).toBe(true);
  expect(await t.db.list("Note")).toEqual([{ id, text: "mine", ownerId: "ann" }]);
  await expect(bob.insert("Note", { text: "" })).rejects.toMatchObject({ code: "POLICY_DENIED" });
  expect(await bob.update("Note", id, { text: "theirs" })).toBe(false);
  expect([await ann.count("Note"), await bob.count("Note")]).toEqual([1, 0]);
  expect(await bob.query("Note", { text: "mine" })).toEqual([]);
});

test("time advances only when a test says so, and jobs and crons run at theirs", async () => {
  const began = (await t.now()).getTime();
  await t.run("add", { text: "milk" }, { as: "ann" });
  await t.advance("89s");
  expect(await t.db.count("Note", { ownerId: "job" })).toBe(0);
  await t.advance(1_000);
  expect(await t.db.query("Note", { ownerId: "job" })).toMatchObject([{ text: "again: milk" }]);
  await t.advance("5h");
  expect(await t.db.count("Note", { ownerId: "cron" })).toBe(5);
  expect((await t.now()).getTime() - began).toBe(90_000 + 5 * 3_600_000);
  await expect(t.advance("soon")).rejects.toThrow("is not a duration");
  await expect(t.advance(-1)).rejects.toThrow("must not be negative");
});

test("after a reset nothing remains: no row, no job, no time", async () => {
  const began = (await t.now()).getTime();
  await t.run("add", { text: "milk" }, { as: "ann" });
  await t.advance("10s");
  await t.reset();
  expect((await t.now()).getTime()).toBe(began);
  await t.advance("10m");
  expect(await t.db.list("Note")).toEqual([]);
});

test("an app with an error does not open, and the error is reported", async () => {
  const broken = { ...manifest, crons: [{ name: "x", schedule: "0 * * * *", function: "gone" }] };
  await expect(createTestApp({ manifest: broken, functions })).rejects.toThrow("gone");
  await expect(createTestApp("/nowhere")).rejects.toThrow("There is no app.ts");
});
