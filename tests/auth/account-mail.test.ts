import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// Account mails are sent by jobs: a failing mail server only delays them, and no job list shows
// their content.

const PASSWORD = "correct horse battery";
const app = appOf(
  buildManifest({
    name: "post",
    version: "1.0.0",
    entities: [
      entity("User", {
        email: field.string().unique(),
        emailVerified: field.bool().default(false),
      }),
    ],
    policies: [policy({ name: "users", entity: "User", allow: "auth.userId == data.id" })],
  }),
);

let mail: MailServer;
let server: TestServer;
let admin: TestClient;
let nobody: TestClient;
/** The number of mails that are rejected before one is accepted. */
let refusals = 0;

beforeAll(async () => {
  mail = await startMailServer({ refuses: () => (refusals -= 1) >= 0 });
  server = await startServer(app, {
    PYLON_SMTP_URL: mail.url,
    PYLON_EMAIL_FROM: "post@example.com",
    PYLON_PUBLIC_URL: "https://post.example.com",
  });
  admin = new TestClient(server.url, ADMIN_TOKEN);
  nobody = new TestClient(server.url, null);
});
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

const post = (path: string, body: object) => nobody.request("POST", `/api/auth${path}`, body);

/** The mail jobs, and the text of everything that an admin can see of them. */
async function shown(): Promise<{
  readonly text: string;
  readonly jobs: Record<string, unknown>[];
}> {
  const list = await admin.request("GET", "/api/jobs?queue=email&limit=200");
  const jobs = JSON.parse(list.text) as Record<string, unknown>[];
  const others = await Promise.all(
    [
      "/api/admin/ops/jobs",
      "/api/jobs/dead",
      ...jobs.map(({ id }) => `/api/jobs/${String(id)}`),
    ].map((path) => admin.request("GET", path)),
  );
  return { text: [list, ...others].map(({ text }) => text).join("\n"), jobs };
}

const lastJob = async (): Promise<Record<string, unknown>> => (await shown()).jobs[0] ?? {};

test("a failing mail server delays the mail, and does not affect the sign-in", async () => {
  refusals = 2;
  const email = "ann@example.com";
  expect(await post("/magic/send", { email })).toMatchObject({ status: 200, body: { sent: true } });
  await until(async () => (await lastJob())["status"] === "retrying");
  expect(await lastJob()).toMatchObject({
    name: "pylon/account-email",
    payload: null,
    error: "The mail could not be sent.",
  });
  const [code = ""] = /\d{6}/.exec((await mail.to(email)).text) ?? [];
  await until(async () => (await lastJob())["status"] === "completed");
  const { text } = await shown();
  for (const secret of [code, email]) expect(text).not.toContain(secret);
  expect(await post("/magic/verify", { email, code })).toMatchObject({ status: 200 });
  expect(mail.countTo(email)).toBe(1);
});

test("a rejected request for a code queues no mail", async () => {
  const before = (await shown()).jobs.length;
  expect((await post("/magic/send", { email: "ben@example.com" })).status).toBe(200);
  expect((await post("/magic/send", { email: "ben@example.com" })).status).toBe(429);
  expect((await shown()).jobs).toHaveLength(before + 1);
});

test("a reset queues a job for unknown addresses too, and mails only users", async () => {
  const email = "cid@example.com";
  const { body } = await post("/password/register", { email, password: PASSWORD });
  const [code = ""] = /\d{6}/.exec((await mail.to(email)).text) ?? [];
  const sign_up_token = body["sign_up_token"];
  const confirmed = { email, code, sign_up_token };
  expect((await post("/password/register/confirm", confirmed)).status).toBe(200);
  const before = (await shown()).jobs.length;
  for (const [index, one] of [email, "nobody@example.com"].entries()) {
    const answer = await post("/password/reset/request", { email: one });
    expect([answer.status, answer.body]).toEqual([200, { sent: true }]);
    expect((await shown()).jobs).toHaveLength(before + index + 1);
  }
  expect((await mail.to(email, 1, /token=/)).text).toContain("https://post.example.com/");
  await until(async () => (await shown()).jobs.every(({ status }) => status === "completed"));
  expect(mail.countTo("nobody@example.com")).toBe(0);
  expect(mail.mails.every(({ to }) => to !== "")).toBe(true);
});

test("a cancelled mail is not sent later: its code is gone", async () => {
  refusals = 1;
  await post("/magic/send", { email: "dan@example.com" });
  await until(async () => (await lastJob())["status"] === "retrying");
  const id = String((await lastJob())["id"]);
  expect((await admin.request("DELETE", `/api/jobs/${id}`)).status).toBe(200);
  expect((await admin.request("POST", `/api/jobs/dead/${id}/retry`)).status).toBe(404);
  expect(await lastJob()).toMatchObject({ status: "cancelled", payload: null });
});
