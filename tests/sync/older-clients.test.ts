import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ChangeEvent } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until, type Answer } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

// Replicas of clients that were written for the public system. Their cursor is a number without an
// epoch: after a change of their rights, only the server can tell that they must start over.

const manifest = buildManifest({
  name: "older",
  version: "1.0.0",
  entities: [
    entity("OrgMember", { userId: field.string(), orgId: field.string() }),
    entity("Invoice", { orgId: field.string(), total: field.int() }),
    entity("Note", { ownerId: field.string(), text: field.string() }),
    entity("Report", { text: field.string() }),
  ],
  policies: [
    policy({ name: "members", entity: "OrgMember", allowRead: "auth.userId == data.userId" }),
    policy({ name: "invoices", entity: "Invoice", allowRead: "auth.tenantId == data.orgId" }),
    policy({ name: "notes", entity: "Note", allow: "auth.userId == data.ownerId" }),
    policy({ name: "reports", entity: "Report", allowRead: "auth.claims.plan == 'pro'" }),
  ],
});

let server: TestServer;
let admin: TestClient;
beforeAll(async () => {
  server = await startServer(appOf(manifest), { PYLON_DEV_MODE: "true" });
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

/** A replica that pulls as the public system's client does: without an epoch. */
class OlderReplica {
  readonly #client: TestClient;
  readonly rows = new Map<string, object>();
  cursor = 0;

  constructor(client: TestClient) {
    this.#client = client;
  }

  /** @returns the status of the first response */
  async pull(): Promise<number> {
    const { status, body } = await this.#ask();
    if (status === 410) {
      this.rows.clear();
      this.cursor = 0;
      expect(await this.pull()).toBe(200);
      return status;
    }
    for (const { kind, row_id: id, data } of body["changes"] as ChangeEvent[])
      if (kind === "delete") this.rows.delete(id);
      else this.rows.set(id, { ...this.rows.get(id), ...data });
    this.cursor = Math.max(this.cursor, (body["cursor"] as { last_seq: number }).last_seq);
    return status;
  }

  #ask(): Promise<Answer> {
    return this.#client.request("GET", `/api/sync/pull?since=${this.cursor}`);
  }

  get ids(): string[] {
    return [...this.rows.keys()].toSorted();
  }
}

async function memberOf(...orgs: readonly string[]): Promise<TestClient> {
  const client = await TestClient.guest(server.url);
  for (const orgId of orgs) await admin.insert("OrgMember", { userId: client.userId, orgId });
  return client;
}

test("after another organization is selected, the rows are its own", async () => {
  const client = await memberOf("red", "blue");
  const [red, blue] = [
    await admin.insert("Invoice", { orgId: "red", total: 1 }),
    await admin.insert("Invoice", { orgId: "blue", total: 2 }),
  ];
  const select = (orgId: string): Promise<Answer> =>
    client.request("POST", "/api/auth/select-org", { orgId });
  await select("red");
  const replica = new OlderReplica(client);
  expect(await replica.pull()).toBe(200);
  expect([replica.ids.includes(red), replica.ids.includes(blue)]).toEqual([true, false]);
  await select("blue");
  expect(await replica.pull()).toBe(410);
  expect([replica.ids.includes(red), replica.ids.includes(blue)]).toEqual([false, true]);
  const later = await admin.insert("Invoice", { orgId: "blue", total: 3 });
  expect(await replica.pull()).toBe(200);
  expect(replica.ids).toContain(later);
});

test("after a guest's token was given to a user, the rows are the user's", async () => {
  const [guest, ann] = [await memberOf(), await memberOf()];
  const [of, anns] = [
    await guest.insert("Note", { ownerId: guest.userId, text: "the guest's" }),
    await ann.insert("Note", { ownerId: ann.userId, text: "Ann's" }),
  ];
  const replica = new OlderReplica(guest);
  await replica.pull();
  expect(replica.ids).toContain(of);
  await guest.request("POST", "/api/auth/upgrade", { user_id: ann.userId });
  expect(await replica.pull()).toBe(410);
  expect(replica.ids.filter((id) => id === of || id === anns)).toEqual([anns]);
});

test("after the claims of its user changed, the rows are those of the new rights", async () => {
  const client = await memberOf();
  const report = await admin.insert("Report", { text: "figures" });
  const replica = new OlderReplica(client);
  await replica.pull();
  const claim = (plan: string): Promise<Answer> =>
    admin.request("PUT", `/api/admin/users/${client.userId}/claims`, { claims: { plan } });
  for (const plan of ["pro", "free"]) {
    expect((await claim(plan)).status).toBe(200);
    expect(await replica.pull()).toBe(410);
    expect(replica.ids.includes(report)).toBe(plan === "pro");
  }
});

test("a socket that continues without an epoch starts over after such a change", async () => {
  const client = await memberOf("green");
  const replica = new OlderReplica(client);
  await replica.pull();
  await client.request("POST", "/api/auth/select-org", { orgId: "green" });
  // A client without rows has nothing to drop.
  (await client.live(0).ready()).close();
  const socket = client.live(replica.cursor);
  await until(() => socket.closed !== null);
  expect(socket.closed?.code).toBe(1013);
  expect(socket.texts).toEqual([expect.stringContaining('"type":"resync"')]);
});

test("changes of the rights of others start nothing over", async () => {
  const [client, other] = [await memberOf(), await memberOf("grey")];
  const replica = new OlderReplica(client);
  await replica.pull();
  await other.request("POST", "/api/auth/select-org", { orgId: "grey" });
  const note = await client.insert("Note", { ownerId: client.userId, text: "mine" });
  expect(await replica.pull()).toBe(200);
  expect(replica.ids).toContain(note);
});

test("after a reload of the app with another read policy, its rows are hidden", async () => {
  const own = await startServer(appOf(manifest));
  const owner = new TestClient(own.url, ADMIN_TOKEN);
  const client = await TestClient.guest(own.url);
  const note = await client.insert("Note", { ownerId: client.userId, text: "mine" });
  const replica = new OlderReplica(client);
  await replica.pull();
  expect(replica.ids).toEqual([note]);
  const policies = manifest.policies.map((one) =>
    one.name === "notes" ? { ...one, allow: "auth.isAdmin" } : one,
  );
  const told = await own.server.reload(appOf({ ...manifest, policies }));
  expect(told.filter(({ severity }) => severity === "error")).toEqual([]);
  expect(await replica.pull()).toBe(410);
  expect(replica.ids).toEqual([]);
  await owner.insert("Note", { ownerId: client.userId, text: "hidden" });
  expect(await replica.pull()).toBe(200);
  expect(replica.ids).toEqual([]);
  await own.stop();
});
