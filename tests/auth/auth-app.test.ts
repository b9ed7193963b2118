import { afterAll, beforeAll, expect, test } from "bun:test";
import { auth, buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until, type Answer } from "../support/client.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";
import { stillClock } from "../support/still-clock.ts";

// What an app declares in `auth({...})`, as seen by callers.

const HOUR = 3600;
const app = appOf(
  buildManifest({
    name: "club",
    version: "1.0.0",
    entities: [
      entity("Member", {
        email: field.string().unique(),
        displayName: field.string().optional(),
        emailVerified: field.bool().default(false),
        phone: field.string().optional(),
      }),
      entity("Minutes", { text: field.string() }),
    ],
    policies: [
      policy({ name: "self", entity: "Member", allow: "auth.userId == data.id" }),
      policy({
        name: "board",
        entity: "Minutes",
        allowRead: "auth.hasRole('board')",
        allowWrite: "auth.hasRole('chair')",
      }),
    ],
    auth: auth({
      user: { entity: "Member", expose: ["id", "email"] },
      session: { expiresIn: 10 * HOUR, idleTimeout: HOUR },
      hooks: {
        claims: ({ user }) => ({
          roles: String(user["email"]).startsWith("chair")
            ? ["board", "chair"]
            : String(user["email"]).startsWith("board")
              ? ["board"]
              : [],
        }),
      },
      mails: {
        "sign-in-code": ({ appName, code }) => ({
          subject: `Welcome to the ${appName}`,
          text: `Knock ${code} times.`,
          html: `<b>${code}</b>`,
        }),
      },
    }),
  }),
);
const { platform, later } = stillClock();

let mail: MailServer;
let server: TestServer;
let nobody: TestClient;

beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer(
    app,
    { PYLON_SMTP_URL: mail.url, PYLON_EMAIL_FROM: "club@example.com" },
    platform,
  );
  nobody = new TestClient(server.url, null);
});
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

const as = ({ body }: Answer): TestClient =>
  new TestClient(server.url, body["token"] as string, body["user_id"] as string);

async function byCode(email: string): Promise<TestClient> {
  await nobody.request("POST", "/api/auth/magic/send", { email });
  const { subject, text } = await mail.to(email);
  // Exactly the text of the app.
  expect(subject).toBe("Welcome to the club");
  const code = /^Knock (\d{6}) times\.\s*$/.exec(text)?.[1];
  return as(await nobody.request("POST", "/api/auth/magic/verify", { email, code }));
}

test("mails have the app's text, and sessions show only exposed user fields", async () => {
  const member = await byCode("ann@example.com");
  expect((await member.request("GET", "/api/auth/session")).body["user"]).toEqual({
    id: member.userId,
    email: "ann@example.com",
  });
});

test("roles that the app claims count in its policies, on live connections too", async () => {
  const [chair, board, member] = [
    await byCode("chair@example.com"),
    await byCode("board@example.com"),
    await byCode("ben@example.com"),
  ];
  const sockets = [await board.live(0).ready(), await member.live(0).ready()] as const;
  await chair.insert("Minutes", { text: "we met" });
  await sockets[0].heard(1);
  for (const refused of [board, member])
    expect(
      (await refused.request("POST", "/api/entities/Minutes", { text: "forged" })).status,
    ).toBe(403);
  expect((await board.request("POST", "/api/query/Minutes", {})).body).toMatchObject([
    { text: "we met" },
  ]);
  expect((await member.request("POST", "/api/query/Minutes", {})).body).toEqual([] as never);
  expect(sockets[1].texts.join("")).not.toContain("we met");
  for (const socket of sockets) socket.close();
});

test("T14: an unused session ends, a used one goes on until its maximum age", async () => {
  const member = await byCode("cid@example.com");
  const other = as(await nobody.request("POST", "/api/auth/guest"));
  const isThere = async (client: TestClient): Promise<boolean> =>
    (await client.request("GET", "/api/auth/session")).status === 200;
  for (let hours = 0; hours < 9; hours += 0.9) {
    later(0.9 * HOUR);
    expect([hours, await isThere(member)]).toEqual([hours, true]);
  }
  expect(await isThere(other)).toBe(false);
  later(0.9 * HOUR);
  await isThere(member);
  later(0.9 * HOUR);
  expect(await isThere(member)).toBe(false);
});

test("T14: a live connection closes within a second after its session expires", async () => {
  const member = await byCode("dan@example.com");
  const socket = await member.live(0).ready();
  later(11 * HOUR);
  await until(() => socket.closed !== null, 2000);
});

test("a user can still read a field of their own row that is not exposed", async () => {
  const member = await byCode("eve@example.com");
  expect(
    (await member.request("PATCH", `/api/entities/Member/${member.userId}`, { phone: "123" }))
      .status,
  ).toBe(200);
  expect((await member.request("GET", "/api/auth/session")).text).not.toContain("123");
});
