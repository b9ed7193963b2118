import { createHmac } from "node:crypto";
import { afterAll, expect, test } from "bun:test";
import { mutation, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { webhooks, type WebhooksOptions } from "@pylonsync/sdk/plugins";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const KEYS = [Buffer.alloc(32, 1), Buffer.alloc(24, 2)] as const;
const ENV = {
  SECRET: `whsec_${KEYS[0].toString("base64")}`,
  NEXT_SECRET: `whsec_${KEYS[1].toString("base64")}`,
};

interface Received {
  readonly id: string;
  readonly timestamp: string;
  readonly signatures: readonly string[];
  readonly body: string;
}

/** A server of another party, with scripted responses. */
class Receiver implements Disposable {
  readonly received: Received[] = [];
  /** The next responses in order; 204 when the list is empty. */
  readonly answers: Response[] = [];
  readonly #server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const header = (name: string): string => request.headers.get(name) ?? "";
      this.received.push({
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signatures: header("webhook-signature").split(" "),
        body: await request.text(),
      });
      return this.answers.shift() ?? new Response(null, { status: 204 });
    },
  });
  readonly url = `http://127.0.0.1:${this.#server.port}/hook`;

  get types(): unknown[] {
    return this.received.map(({ body }) => (JSON.parse(body) as { type: unknown }).type);
  }
  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}

const servers: TestServer[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));

async function open(
  endpoint: Partial<WebhooksOptions["endpoints"][number]> & { readonly url: string },
  env: Record<string, string> = { PYLON_DEV_MODE: "true" },
) {
  const endpoints = [{ name: "one", secrets: ["${env.SECRET}"], events: ["*"], ...endpoint }];
  const app = appOf(
    buildManifest({
      name: "webhooks",
      version: "1.0.0",
      entities: [
        entity("Note", { title: field.string(), secret: field.string().hidden().optional() }),
        entity("Other", { n: field.int() }),
      ],
      policies: ["Note", "Other"].map((name) => policy({ name, entity: name, allow: "true" })),
      plugins: [webhooks({ endpoints })],
    }),
    {
      fails: mutation({
        args: { title: v.string() },
        handler: async ({ db, error }, { title }) => {
          await db.insert("Note" as never, { title });
          throw error("UNDONE", "The write is undone.");
        },
      }),
    },
  );
  const server = await startServer(app, { ...ENV, ...env });
  servers.push(server);
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const deliveries = async (status = ""): Promise<Readonly<Record<string, unknown>>[]> => {
    const query = status === "" ? "" : `?status=${status}`;
    return (await admin.request("GET", `/api/admin/webhooks/deliveries${query}`)).body as never;
  };
  return { server, admin, deliveries, user: await TestClient.guest(server.url) };
}

function signature(key: Buffer, { id, timestamp, body }: Received): string {
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
}

test("a receiver gets the events it subscribed to, signed with each secret", async () => {
  using receiver = new Receiver();
  const { user, deliveries } = await open({
    url: receiver.url,
    secrets: ["${env.NEXT_SECRET}", "${env.SECRET}"],
    events: ["Note.insert", "Note.delete"],
  });
  await user.insert("Other", { n: 1 });
  await user.request("POST", "/api/fn/fails", { title: "never" });
  const id = await user.insert("Note", { title: "a", secret: "hidden" });
  await until(() => receiver.received.length === 1);
  await user.request("PATCH", `/api/entities/Note/${id}`, { title: "b" });
  await user.request("DELETE", `/api/entities/Note/${id}`);
  await until(() => receiver.received.length === 2);
  expect(receiver.types).toEqual(["Note.insert", "Note.delete"]);
  const [first] = receiver.received;
  if (first === undefined) throw new Error("Nothing was received.");
  expect(first.signatures).toEqual([signature(KEYS[1], first), signature(KEYS[0], first)]);
  expect(Math.abs(Number(first.timestamp) - Date.now() / 1000)).toBeLessThan(60);
  expect(JSON.parse(first.body)).toEqual({
    type: "Note.insert",
    timestamp: expect.any(String),
    data: { row: { id, title: "a" } },
  });
  await until(async () => (await deliveries("completed")).length === 2);
  expect(await deliveries()).toHaveLength(2);
  expect((await user.request("GET", "/api/admin/webhooks/deliveries")).status).toBe(403);
});

test("a failed delivery is retried with the same id, and is then dead", async () => {
  using receiver = new Receiver();
  receiver.answers.push(
    new Response(null, { status: 500 }),
    new Response(null, { status: 302, headers: { Location: "http://127.0.0.1:1/" } }),
  );
  const { user, admin, deliveries } = await open({ url: receiver.url, maxRetries: 1 });
  const id = await user.insert("Note", { title: "a" });
  await until(async () => (await deliveries("dead")).length === 1);
  const [dead] = await deliveries("dead");
  expect(dead).toMatchObject({
    endpoint: "one",
    attempts: 2,
    max_attempts: 2,
    message: { type: "Note.insert", data: { row: { id } } },
    next_attempt_at: null,
  });
  expect(String(dead?.["error"])).toContain("redirect");
  const retry = `/api/admin/webhooks/deliveries/${String(dead?.["id"])}/retry`;
  expect((await user.request("POST", retry)).status).toBe(403);
  expect((await admin.request("POST", retry)).body).toMatchObject({ retried: true });
  await until(async () => (await deliveries("completed")).length === 1);
  expect(new Set(receiver.received.map((message) => message.id)).size).toBe(1);
  expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
  expect(receiver.received).toHaveLength(3);
  expect((await admin.request("POST", retry)).status).toBe(404);
});

test("a receiver that responds 410 is not called again", async () => {
  using receiver = new Receiver();
  receiver.answers.push(new Response(null, { status: 410 }));
  const { user, deliveries } = await open({ url: receiver.url });
  await user.insert("Note", { title: "a" });
  await until(async () => (await deliveries("dead")).length === 1);
  expect(receiver.received).toHaveLength(1);
});

test("a message that is too large contains only the id of its row", async () => {
  using receiver = new Receiver();
  const { user } = await open({ url: receiver.url });
  const id = await user.insert("Note", { title: "x".repeat(250_000) });
  await until(() => receiver.received.length === 1);
  expect(JSON.parse(receiver.received[0]?.body ?? "")).toMatchObject({
    data: { row: { id }, truncated: true },
  });
});

test("outside of dev mode no request is sent to a private address", async () => {
  using receiver = new Receiver();
  const url = receiver.url.replace("http:", "https:");
  const { user, deliveries } = await open({ url, maxRetries: 0 }, {});
  await user.insert("Note", { title: "a" });
  await until(async () => (await deliveries("dead")).length === 1);
  expect(String((await deliveries("dead"))[0]?.["error"])).toContain("is not a public address");
  expect(receiver.received).toEqual([]);
});

test("a server does not start with a weak secret or an invalid URL", async () => {
  const refusal = (endpoint: object, env = {}): Promise<string> =>
    open({ url: "https://example.com/", ...endpoint }, env).then(
      () => "",
      (error: unknown) => String(error),
    );
  const weak = await refusal({}, { SECRET: "whsec_c2VjcmV0" });
  expect(weak).toContain('A secret of the webhook endpoint "one" must be whsec_');
  expect(weak).not.toContain("c2VjcmV0");
  expect(await refusal({ url: "http://example.com/" })).toContain("must be an https URL");
  expect(await refusal({ secrets: ["${env.ABSENT}"] })).toContain("ABSENT, which is not set");
});

test.each([
  [{ evnets: [] }, 'Did you mean "events"?'],
  [{ events: ["Nota.insert"] }, 'Did you mean "Note"?'],
  [{ events: ["Note.upsert"] }, "one of insert, update, delete, *"],
  [{ secrets: [] }, "must be a list of secrets"],
  [{ name: "a b" }, "use letters, digits"],
  [{ maxRetries: 100 }, "at most 99"],
])("an invalid endpoint is an error that says what is wrong: %#", (endpoint, message) => {
  const build = (): unknown =>
    buildManifest({
      name: "a",
      version: "1.0.0",
      entities: [entity("Note", { title: field.string() })],
      plugins: [
        webhooks(
          Object({
            endpoints: [
              { name: "one", url: "https://x.example", secrets: ["s"], events: ["*"], ...endpoint },
            ],
          }),
        ),
      ],
    });
  expect(build).toThrow(message);
});
