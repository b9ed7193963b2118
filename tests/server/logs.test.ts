import { afterAll, beforeAll, expect, test } from "bun:test";
import { mutation, query } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const manifest = buildManifest({
  name: "logged",
  version: "1.0.0",
  access: "public",
  entities: [entity("Note", { text: field.string() })],
});
const functions = {
  fails: query({
    handler: () => {
      throw new Error("it broke");
    },
  }),
  writes: mutation({ handler: () => Promise.reject(new Error("it broke too")) }),
};

let server: TestServer;
let admin: TestClient;
beforeAll(async () => {
  server = await startServer(appOf(manifest, functions), {
    PYLON_LOG_LEVEL: "info",
    PYLON_ACCESS_LOG: "1",
  });
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

const linesOf = (text: string): Record<string, unknown>[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test("the admin can read the log by level and number of lines; other callers can't", async () => {
  for (let index = 0; index < 5; index += 1) await admin.request("POST", "/api/fn/fails", {});
  const all = linesOf((await admin.request("GET", "/api/admin/logs?limit=1000")).text);
  expect(all.some(({ message }) => message === "listening")).toBe(true);
  const failed = all.filter(({ message }) => message === "function failed");
  expect(failed).toHaveLength(5);
  expect(failed[0]).toMatchObject({
    time: expect.any(String),
    level: "error",
    function: "fails",
    request_id: expect.any(String),
    error: expect.stringContaining("it broke"),
  });
  const errors = linesOf((await admin.request("GET", "/api/admin/logs?level=error&limit=2")).text);
  expect(errors).toEqual(all.filter(({ level }) => level === "error").slice(-2));
  expect((await admin.request("GET", "/api/admin/logs?limit=0")).text).toBe("");
  const guest = await TestClient.guest(server.url);
  for (const client of [guest, new TestClient(server.url, null)]) {
    const answer = await client.request("GET", "/api/admin/logs?follow=1");
    expect([answer.status, answer.body["error"]]).toMatchObject([403, { code: "FORBIDDEN" }]);
  }
});

test.each(["level=loud", "limit=-1", "limit=1001", "limit=ten", "follow=yes"])(
  "%s is rejected with the name of the parameter",
  async (parameter) => {
    const { status, body } = await admin.request("GET", `/api/admin/logs?${parameter}`);
    expect({ status, body }).toMatchObject({
      status: 400,
      body: { error: { code: "INVALID_QUERY", field: parameter.split("=")[0] } },
    });
  },
);

test("following streams each line of the level, and ends when the server stops", async () => {
  const own = await startServer(appOf(manifest, functions), {
    PYLON_LOG_LEVEL: "info",
    PYLON_DRAIN_SECS: "600",
  });
  const { body } = await fetch(`${own.url}/api/admin/logs?follow=1&level=error`, {
    headers: { Authorization: `Bearer ${ADMIN_TOKEN}` },
  });
  const followed = new Response(body).text();
  const client = new TestClient(own.url, null);
  await client.request("POST", "/api/fn/writes", {});
  await client.request("POST", "/api/fn/fails", {});
  await own.stop();
  expect(linesOf(await followed).map((line) => [line["level"], line["function"]])).toEqual([
    ["error", "writes"],
    ["error", "fails"],
  ]);
});

test("the number of followers is limited", async () => {
  const headers = { Authorization: `Bearer ${ADMIN_TOKEN}` };
  const abort = new AbortController();
  const answers = await Promise.all(
    Array.from({ length: 17 }, () =>
      fetch(`${server.url}/api/admin/logs?follow=1`, { headers, signal: abort.signal }),
    ),
  );
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    ...Array.from({ length: 16 }, () => 200),
    429,
  ]);
  abort.abort();
});

test("the log contains no token, password, body or query string", async () => {
  const canary = "canary-7f3a-never-logged";
  const client = new TestClient(server.url, canary);
  await client.request("GET", `/api/entities/Note?token=${canary}`);
  await client.request("POST", "/api/auth/password/login", {
    email: "a@b.example",
    password: canary,
  });
  await new TestClient(server.url, null).request("POST", "/api/fn/fails", { secret: canary });
  await new TestClient(server.url, null).request("POST", "/api/entities/Note", { text: canary });
  const { text } = await admin.request("GET", "/api/admin/logs?limit=1000");
  expect(linesOf(text).length).toBeGreaterThan(3);
  for (const secret of [canary, ADMIN_TOKEN]) expect(text).not.toContain(secret);
});
