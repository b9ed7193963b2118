import { action, html, mutation, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestClient } from "../support/client.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const manifest = buildManifest({
  name: "function-email",
  version: "1.0.0",
  access: "public",
  entities: [entity("Order", { n: field.int() })],
});
const packed = (item: string) => ({
  subject: `${item} is packed`,
  text: `Your ${item} is packed.`,
  html: html`<p>Your <b>${item}</b> is packed.</p>`,
});

const app = appOf(manifest, {
  order: mutation({
    args: { to: v.string(), item: v.string(), fails: v.boolean() },
    async handler(ctx, { to, item, fails }) {
      await ctx.db.insert("Order", { n: 1 });
      await ctx.email.send({ to, ...packed(item) });
      if (fails) throw ctx.error("SOLD_OUT", "Too late.");
      return null;
    },
  }),
  remind: action({
    args: { message: v.any() },
    handler: (ctx, { message }) => ctx.email.send(message as never),
  }),
});

let mail: MailServer;
let server: TestServer;
let admin: TestClient;

beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer(app, {
    PYLON_EMAIL_PROVIDER: "smtp",
    PYLON_SMTP_URL: mail.url,
    PYLON_EMAIL_FROM: "Shop <shop@example.com>",
  });
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

const call = async (name: string, args: object): Promise<unknown> => {
  const { status, body } = await admin.request("POST", `/api/fn/${name}`, args);
  const { error } = (body ?? {}) as { error?: { code: string; field?: string } };
  return error === undefined ? status : [status, error.code, error.field];
};

test("an email of a mutation is sent when it commits, and not otherwise", async () => {
  const failed = { to: "eve@example.com", item: "milk", fails: true };
  expect(await call("order", failed)).toEqual([400, "SOLD_OUT", undefined]);
  const done = { to: "Ann@Example.com", item: "<milk>", fails: false };
  expect(await call("order", done)).toBe(200);
  const received = await mail.to("ann@example.com");
  expect(received.subject).toBe("<milk> is packed");
  expect(received.text).toContain("Your <milk> is packed.");
  expect(mail.countTo("eve@example.com")).toBe(0);
  expect(mail.countTo("ann@example.com")).toBe(1);
});

test("an action can send an email with text only", async () => {
  const message = { to: "bob@example.com", subject: "Hi", text: "a <b>\nc" };
  expect(await call("remind", { message })).toBe(200);
  expect((await mail.to("bob@example.com")).text).toContain("a <b>");
});

test.each([
  [{ to: "bob@example.com", subject: "Hi", text: "x", cc: "a@example.com" }, "cc"],
  [{ to: "bob", subject: "Hi", text: "x" }, "to"],
  [{ to: ["bob@example.com"], subject: "Hi", text: "x" }, "to"],
  [{ to: "bob@example.com", subject: "Hi\r\nBcc: eve@example.com", text: "x" }, "subject"],
  [{ to: "bob@example.com", subject: "s".repeat(201), text: "x" }, "subject"],
  [{ to: "bob@example.com", subject: "Hi" }, "text"],
  [{ to: "bob@example.com", subject: "Hi", text: "x", html: 5 }, "html"],
  ["bob@example.com", "message"],
])("the email %j is rejected", async (message, named) => {
  expect(await call("remind", { message })).toEqual([400, "INVALID_ARGS", named]);
});

test("an email that is too large, or on a server without email, is rejected", async () => {
  const large = { to: "bob@example.com", subject: "Hi", text: "x".repeat(150_000) };
  expect(await call("remind", { message: large })).toEqual([413, "PAYLOAD_TOO_LARGE", "html"]);
  const silent = await startServer(app);
  try {
    const { body } = await new TestClient(silent.url, ADMIN_TOKEN).request(
      "POST",
      "/api/fn/remind",
      { message: { to: "bob@example.com", subject: "Hi", text: "x" } },
    );
    expect(body["error"]).toMatchObject({ code: "EMAIL_NOT_CONFIGURED" });
  } finally {
    await silent.stop();
  }
});
