import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, type Answer } from "./support/client.ts";
import { startMailServer, type MailServer } from "./support/mail-server.ts";
import { appOf, startServer, type TestServer } from "./support/server.ts";

// What somebody who guesses gets, over hours and from many addresses.

const app = appOf(
  buildManifest({
    name: "bank",
    version: "1.0.0",
    entities: [entity("User", { email: field.string().unique(), emailVerified: field.bool().default(false) })],
    policies: [policy({ name: "users", entity: "User", allow: "auth.userId == data.id" })],
  }),
);
let now = Date.parse("2026-03-01T12:00:00Z");
const platform = { now: () => now, random: (bytes: Uint8Array) => void crypto.getRandomValues(bytes) };
const later = (seconds: number): void => void (now += seconds * 1000);

let mail: MailServer;
let server: TestServer;
let nobody: TestClient;
let number = 0;
const newEmail = (): string => `user${(number += 1)}@example.com`;
/** Each from another address, unless it is named. */
const from = (address = `198.51.100.${(number += 1) % 250}`): Record<string, string> => ({ "X-Forwarded-For": address });
const post = (path: string, body: unknown, headers = from()): Promise<Answer> => nobody.request("POST", `/api/auth${path}`, body, headers);
const codeTo = async (email: string, count = 1): Promise<string> => /\b\d{6}\b/.exec((await mail.to(email, count)).text)?.[0] ?? "";

beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer(app, { PYLON_SMTP_URL: mail.url, PYLON_EMAIL_FROM: "bank@example.com", PYLON_PUBLIC_URL: "https://bank.example.com", PYLON_TRUST_PROXY_HOPS: "1", PYLON_SSO_ENCRYPTION_KEY: "k".repeat(32) }, platform);
  nobody = new TestClient(server.url, null);
});
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

test("T20: of codes that are asked for one after the other twenty guesses are looked at in six hours", async () => {
  const email = newEmail();
  const guess = async (code = "wrong"): Promise<number> => (await post("/magic/verify", { email, code })).status;
  // Without a code there is nothing to guess, and nothing to use up.
  for (let n = 0; n < 30; n += 1) expect(await guess()).toBe(401);
  const looked: number[] = [];
  for (let code = 0; code < 6; code += 1) {
    expect((await post("/magic/send", { email })).status).toBe(200);
    for (let n = 0; n < 6; n += 1) looked.push(await guess());
    later(61);
  }
  expect(looked.filter((status) => status === 401)).toHaveLength(20);
  expect(looked.filter((status) => status === 429)).toHaveLength(16);
  await post("/magic/send", { email });
  expect(await guess(await codeTo(email, 7))).toBe(429);
  later(6 * 60 * 60);
  await post("/magic/send", { email });
  expect(await guess(await codeTo(email, 8))).toBe(200);
});

test("T20: who has got a code right begins anew", async () => {
  const email = newEmail();
  for (let round = 0; round < 6; round += 1) {
    await post("/magic/send", { email });
    for (let n = 0; n < 4; n += 1) expect((await post("/magic/verify", { email, code: "wrong" })).status).toBe(401);
    expect((await post("/magic/verify", { email, code: await codeTo(email, round + 1) })).status).toBe(200);
    later(61);
  }
});

test.each(["ﷺ".repeat(20), "ｐａｓｓｗｏｒｄ１２３"])("a password is checked in the form in which it is compared: %s", async (password) => {
  const answer = await post("/password/register", { email: newEmail(), password });
  expect([answer.status, answer.body["error"]]).toMatchObject([400, { code: "WEAK_PASSWORD" }]);
});
