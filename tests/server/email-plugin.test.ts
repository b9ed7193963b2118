import { afterAll, beforeAll, expect, test } from "bun:test";
import { html, mutation, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { email, sendFor, type EmailSend } from "@pylonsync/sdk/plugins";
import { createPluginApp } from "@pylonsync/testing";
import { TestClient } from "../support/client.ts";
import { jobsDone } from "../support/jobs-done.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const Order = entity("Order", {
  item: field.string(),
  status: field.string().default("open"),
  email: field.string().hidden().optional(),
});
const Watcher = entity("Watcher", { email: field.string(), item: field.string() });
const User = entity("User", {
  email: field.string().unique(),
  passwordHash: field.string().hidden(),
});

const sends: readonly EmailSend[] = [
  {
    name: "welcome",
    on: "User.insert",
    to: "data.email",
    template: ({ row }) => ({ subject: "Welcome", text: `Hello ${String(row["email"])}.` }),
  },
  {
    name: "ordered",
    on: "Order.insert",
    to: "data.email",
    template: ({ row }) => ({
      subject: `Your order:\r\nBcc: eve@example.com ${String(row["item"])}`,
      text: `You ordered ${String(row["item"])}.`,
      html: html`<p>You ordered <b>${row["item"]}</b>.</p>`,
    }),
  },
  sendFor(Order, {
    name: "shipped",
    on: "update",
    when: ({ row, before }) => row.status === "shipped" && before.status !== "shipped",
    to: "data.email",
    template: ({ row }) => ({ subject: "Shipped", text: `${row.item} is shipped.` }),
    once: true,
  }),
  sendFor(Order, [], {
    name: "gone",
    on: "delete",
    to: async ({ row, db }) => {
      const watchers = await db.query("Watcher", { item: row.item });
      return watchers.map((watcher) => String(watcher["email"]));
    },
    template: ({ row }) => ({ subject: "Gone", text: `${row.item} is gone.` }),
  }),
];

const app = appOf(
  buildManifest({
    name: "email-plugin",
    version: "1.0.0",
    entities: [Order, Watcher, User],
    policies: [
      policy({ name: "orders", entity: "Order", allow: "true" }),
      policy({ name: "users", entity: "User", allow: "auth.userId == data.id" }),
    ],
    plugins: [email({ sends })],
  }),
  {
    failing: mutation({
      args: { email: v.string() },
      handler: async ({ db, error }, { email: address }) => {
        await db.insert("Order" as never, { item: "rolled back", email: address });
        throw error("SOLD_OUT", "Too late.");
      },
    }),
  },
);

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

test("an insert sends an email to a hidden address that readers of the row can't see", async () => {
  const id = await admin.insert("Order", { item: "<tea>", email: "ann@example.com" });
  const received = await mail.to("ann@example.com");
  // Line breaks in a value can't add a header.
  expect(received.subject).toBe("Your order: Bcc: eve@example.com <tea>");
  expect(received.text).toContain("You ordered <tea>.");
  expect(received.html).toContain("<b>&lt;tea&gt;</b>");
  const guest = await TestClient.guest(server.url);
  const { body } = await guest.request("GET", `/api/entities/Order/${id}`);
  expect(body["item"]).toBe("<tea>");
  expect(JSON.stringify(body)).not.toContain("ann@example.com");
});

test("a write that is rolled back, and a row without an address, send nothing", async () => {
  const failed = await admin.request("POST", "/api/fn/failing", { email: "rolled@example.com" });
  expect(failed.status).toBe(400);
  await admin.insert("Order", { item: "nothing" });
  await jobsDone(server.url);
  expect(mail.countTo("rolled@example.com")).toBe(0);
  expect(mail.mails.filter(({ text }) => text.includes("nothing"))).toEqual([]);
});

test("an email with once is sent once per row, on the change that matches", async () => {
  const ids = [];
  for (const address of ["once-a@example.com", "once-b@example.com"])
    ids.push(await admin.insert("Order", { item: "cup", email: address }));
  for (const id of ids)
    for (const status of ["packed", "shipped", "shipped", "open", "shipped"])
      await admin.request("PATCH", `/api/entities/Order/${id}`, { status });
  await jobsDone(server.url);
  expect(mail.countTo("once-a@example.com", /is shipped/)).toBe(1);
  expect(mail.countTo("once-b@example.com", /is shipped/)).toBe(1);
  const sent = await admin.request("POST", "/api/query", { SentEmail: { where: {} } });
  expect(sent.body["SentEmail"]).toHaveLength(2);
  for (const id of ids) await admin.request("DELETE", `/api/entities/Order/${id}`);
  const left = await admin.request("POST", "/api/query", { SentEmail: { where: {} } });
  expect(left.body["SentEmail"]).toEqual([]);
});

test("a delete sends one email to each recipient that a function returns", async () => {
  for (const address of ["w1@example.com", "w2@example.com", "w1@example.com"])
    await admin.insert("Watcher", { email: address, item: "vase" });
  const id = await admin.insert("Order", { item: "vase" });
  await admin.request("DELETE", `/api/entities/Order/${id}`);
  await jobsDone(server.url);
  expect(mail.countTo("w1@example.com")).toBe(1);
  expect(mail.countTo("w2@example.com")).toBe(1);
});

test("a new user gets the email of the insert after confirming the address", async () => {
  const post = (path: string, body: object) =>
    new TestClient(server.url, null).request("POST", `/api/auth/password${path}`, body);
  const account = { email: "new@example.com", password: "a long enough passw0rd" };
  const { body } = await post("/register", account);
  const [code] = (await mail.to(account.email)).subject.split(" ");
  // The account does not exist before its address is confirmed.
  expect(mail.countTo(account.email, /Hello new@/)).toBe(0);
  const confirmed = { email: account.email, code, sign_up_token: body["sign_up_token"] };
  expect((await post("/register/confirm", confirmed)).status).toBe(200);
  expect((await mail.to("new@example.com", 1, /Hello new@/)).subject).toBe("Welcome");
});

test("an invalid address fails the job, not the write", async () => {
  await using t = await createPluginApp([email({ sends: [sends[1] as EmailSend] })], {
    entities: [Order],
  });
  await t.db.insert("Order", { item: "tea", email: "not an address" });
  await t.db.insert("Order", { item: "tea", email: "ok@example.com" });
  await t.advance("1m");
  expect((await t.mails()).map(({ to }) => to)).toEqual(["ok@example.com"]);
});

test("a template that returns no email rolls the write back", async () => {
  const broken: EmailSend = {
    name: "broken",
    on: "Order.insert",
    to: "shop@example.com",
    template: () => ({ subject: "x", text: "" }),
  };
  await using t = await createPluginApp([email({ sends: [broken] })], { entities: [Order] });
  await expect(t.db.insert("Order", { item: "tea" })).rejects.toThrow();
  expect(await t.db.count("Order")).toBe(0);
});

test.each([
  [{ on: "Ordr.insert" }, 'Did you mean "Order"?'],
  [{ on: "Order.create" }, "one of insert, update, delete"],
  [{ to: "data.emial" }, 'Did you mean "email"?'],
  [{ to: "email" }, 'write "data.email", an address or a function'],
  [{ template: "welcome" }, "template of sends[0] of email"],
  [{ once: 1 }, "must be true or false"],
  [{ name: "a b" }, "use letters, digits"],
  [{ form: "x" }, 'no option "form"'],
])("the send %j is an error that says what is wrong", (wrong, message) => {
  const send = { ...sends[1], ...wrong } as EmailSend;
  expect(() =>
    buildManifest({
      name: "a",
      version: "1.0.0",
      entities: [Order],
      plugins: [email({ sends: [send] })],
    }),
  ).toThrow(message);
});
