import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until, type Answer } from "../support/client.ts";
import { startMailServer, type MailServer } from "../support/mail-server.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const User = entity("User", {
  email: field.string().unique(),
  emailVerified: field.bool().default(false),
});
const Page = entity("Page", { title: field.string(), tenantId: field.string() });
const app = appOf(
  buildManifest({
    name: "wiki",
    version: "1.0.0",
    entities: [User, Page],
    policies: [
      policy({ name: "users", entity: "User", allow: "auth.userId == data.id" }),
      policy({
        name: "tenant",
        entity: "Page",
        allowRead: "auth.tenantId == data.tenantId",
        allowWrite:
          "auth.tenantId == data.tenantId && (auth.hasRole('org:owner') || " +
          "auth.hasRole('org:admin'))",
      }),
    ],
  }),
);

let server: TestServer;
let mail: MailServer;
let number = 0;

beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer(app, {
    PYLON_SMTP_URL: mail.url,
    PYLON_EMAIL_FROM: "wiki@example.com",
    PYLON_PUBLIC_URL: "https://wiki.example.com",
  });
});
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

class Person extends TestClient {
  readonly email: string;
  constructor(token: string, userId: string, email: string) {
    super(server.url, token, userId);
    this.email = email;
  }

  /** Signs in by a code, which verifies the address. */
  static async new(): Promise<Person> {
    const email = `person${(number += 1)}@example.com`;
    const nobody = new TestClient(server.url, null);
    await nobody.request("POST", "/api/auth/magic/send", { email });
    const code = /\d{6}/.exec((await mail.to(email)).text)?.[0];
    const { body } = await nobody.request("POST", "/api/auth/magic/verify", { email, code });
    return new Person(body["token"] as string, body["user_id"] as string, email);
  }

  async orgs(): Promise<readonly { id: string; role: string }[]> {
    return (await this.request("GET", "/api/auth/orgs")).body as never;
  }
}

async function newOrg(owner: Person): Promise<string> {
  return (await owner.request("POST", "/api/auth/orgs", { name: "Acme" })).body["id"] as string;
}

/** Invites a user, who accepts. */
async function join(org: string, inviter: Person, invited: Person, role: string): Promise<Answer> {
  const before = mail.countTo(invited.email, /token=/);
  expect(
    (await inviter.request("POST", `/api/auth/orgs/${org}/invites`, { email: invited.email, role }))
      .status,
  ).toBe(201);
  const { text } = await mail.to(invited.email, before + 1, /token=/);
  return invited.request("POST", `/api/auth/invites/${/token=(\S+)/.exec(text)?.[1]}/accept`);
}

describe("an organization", () => {
  test("is joined once, by the user whose address was invited", async () => {
    const [owner, guest, other] = [await Person.new(), await Person.new(), await Person.new()];
    const org = await newOrg(owner);
    await owner.request("POST", `/api/auth/orgs/${org}/invites`, {
      email: guest.email,
      role: "admin",
    });
    const token = /token=(\S+)/.exec((await mail.to(guest.email, 1, /token=/)).text)?.[1];
    const seen = await fetch(`${server.url}/api/auth/invites/${token}`);
    expect(await seen.json()).toEqual({
      organization: "Acme",
      role: "admin",
      email: guest.email.replace(/^(.).*@/, "$1…@"),
    });
    expect((await other.request("POST", `/api/auth/invites/${token}/accept`)).status).toBe(401);
    expect((await guest.request("POST", `/api/auth/invites/${token}/accept`)).body).toMatchObject({
      id: org,
      name: "Acme",
      role: "admin",
    });
    expect((await guest.request("POST", `/api/auth/invites/${token}/accept`)).status).toBe(401);
    expect(await guest.orgs()).toMatchObject([{ id: org, role: "admin" }]);
    expect((await guest.request("GET", `/api/auth/orgs/${org}/members`)).body).toMatchObject([
      { user_id: owner.userId, role: "owner" },
      { user_id: guest.userId, role: "admin" },
    ]);
  });

  test("is not shown for a guessed link, and guesses are limited", async () => {
    const statuses: number[] = [];
    while (statuses.at(-1) !== 429 && statuses.length < 100)
      statuses.push((await fetch(`${server.url}/api/auth/invites/none`)).status);
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
    expect(statuses.at(-1)).toBe(429);
  });

  test("is not found by other users", async () => {
    const [owner, stranger] = [await Person.new(), await Person.new()];
    const org = await newOrg(owner);
    const asks = [
      ["GET", `/api/auth/orgs/${org}`],
      ["PATCH", `/api/auth/orgs/${org}`, { name: "Mine" }],
      ["DELETE", `/api/auth/orgs/${org}`],
      ["GET", `/api/auth/orgs/${org}/members`],
      ["PATCH", `/api/auth/orgs/${org}/members/${owner.userId}`, { role: "member" }],
      ["DELETE", `/api/auth/orgs/${org}/members/${owner.userId}`],
      ["POST", `/api/auth/orgs/${org}/invites`, { email: "x@example.com" }],
      ["POST", "/api/auth/select-org", { org_id: org }],
    ] as const;
    for (const [method, path, body] of asks)
      expect((await stranger.request(method, path, body)).status).toBe(404);
    expect((await owner.request("GET", `/api/auth/orgs/${org}`)).body).toMatchObject({
      name: "Acme",
      role: "owner",
    });
  });

  test("prevents promotions above one's own role, and always has an owner", async () => {
    const [owner, admin, member] = [await Person.new(), await Person.new(), await Person.new()];
    const org = await newOrg(owner);
    await join(org, owner, admin, "admin");
    await join(org, admin, member, "editor");
    const set = (by: Person, of: Person, role: string): Promise<Answer> =>
      by.request("PATCH", `/api/auth/orgs/${org}/members/${of.userId}`, { role });
    expect((await set(member, member, "admin")).status).toBe(403);
    expect((await set(admin, admin, "owner")).status).toBe(403);
    expect((await set(admin, owner, "member")).status).toBe(403);
    expect(
      (
        await admin.request("POST", `/api/auth/orgs/${org}/invites`, {
          email: "x@example.com",
          role: "owner",
        })
      ).status,
    ).toBe(403);
    expect(
      (await admin.request("DELETE", `/api/auth/orgs/${org}/members/${owner.userId}`)).status,
    ).toBe(403);
    expect(
      (await member.request("DELETE", `/api/auth/orgs/${org}/members/${admin.userId}`)).status,
    ).toBe(403);
    expect((await admin.request("DELETE", `/api/auth/orgs/${org}`)).status).toBe(403);
    expect(
      (await owner.request("DELETE", `/api/auth/orgs/${org}/members/${owner.userId}`)).body[
        "error"
      ],
    ).toMatchObject({ code: "LAST_OWNER" });
    expect((await set(owner, owner, "member")).body["error"]).toMatchObject({ code: "LAST_OWNER" });
    expect((await set(owner, admin, "owner")).status).toBe(200);
    expect(
      (await owner.request("DELETE", `/api/auth/orgs/${org}/members/${owner.userId}`)).status,
    ).toBe(200);
    expect(await admin.orgs()).toMatchObject([{ role: "owner" }]);
  });

  test("T14: rejects invitations of a user who lost the role or membership for them", async () => {
    const [owner, removed, demoted] = [await Person.new(), await Person.new(), await Person.new()];
    const org = await newOrg(owner);
    await join(org, owner, removed, "admin");
    await join(org, owner, demoted, "owner");
    const invite = async (by: Person, role: string): Promise<readonly [Person, string]> => {
      const invited = await Person.new();
      expect(
        (await by.request("POST", `/api/auth/orgs/${org}/invites`, { email: invited.email, role }))
          .status,
      ).toBe(201);
      return [
        invited,
        /token=(\S+)/.exec((await mail.to(invited.email, 1, /token=/)).text)?.[1] ?? "",
      ];
    };
    const accept = async ([invited, token]: readonly [Person, string]): Promise<number> =>
      (await invited.request("POST", `/api/auth/invites/${token}/accept`)).status;
    const [byRemoved, asOwner, asAdmin] = [
      await invite(removed, "admin"),
      await invite(demoted, "owner"),
      await invite(demoted, "admin"),
    ];
    await owner.request("DELETE", `/api/auth/orgs/${org}/members/${removed.userId}`);
    await owner.request("PATCH", `/api/auth/orgs/${org}/members/${demoted.userId}`, {
      role: "admin",
    });
    expect(
      (
        (await owner.request("GET", `/api/auth/orgs/${org}/invites`)).body as unknown as {
          email: string;
        }[]
      ).map(({ email }) => email),
    ).toEqual([asAdmin[0].email]);
    expect([await accept(byRemoved), await accept(asOwner), await accept(asAdmin)]).toEqual([
      401, 401, 200,
    ]);
    const last = await invite(demoted, "member");
    await owner.request("PATCH", `/api/auth/orgs/${org}/members/${demoted.userId}`, {
      role: "member",
    });
    expect(await accept(last)).toBe(401);
  });

  test("has a name of one line, which puts no link into a mail", async () => {
    const owner = await Person.new();
    for (const name of ["Acme\r\nBcc: x@example.com", "Acme\u2028now"])
      expect((await owner.request("POST", "/api/auth/orgs", { name })).body["error"]).toMatchObject(
        { code: "INVALID_DATA", field: "name" },
      );
    const name = `Locked: http://evil.example/unlock or www.evil.example ${"x".repeat(100)}`;
    const { body } = await owner.request("POST", "/api/auth/orgs", { name });
    expect(body["name"]).toBe(name);
    const path = `/api/auth/orgs/${String(body["id"])}`;
    expect((await owner.request("PATCH", path, { name: "a\nb" })).status).toBe(400);
    const invited = await Person.new();
    expect((await owner.request("POST", `${path}/invites`, { email: invited.email })).status).toBe(
      201,
    );
    const { subject, text } = await mail.to(invited.email, 2);
    for (const part of [subject, text]) {
      expect(part).toContain("Locked");
      expect(part).not.toMatch(/evil\.example|http:\/\/evil/);
      expect(part).not.toContain("x".repeat(40));
    }
    expect(text).toContain("https://wiki.example.com/auth/invitation#token=");
  });

  test("T9, T14: can be the selected tenant; a lost role applies within a second", async () => {
    const [owner, member] = [await Person.new(), await Person.new()];
    const org = await newOrg(owner);
    await join(org, owner, member, "admin");
    const page = { title: "A page", tenantId: org };
    expect((await member.request("POST", "/api/entities/Page", page)).status).toBe(403);
    expect(
      (
        await member.request("POST", "/api/auth/select-org", {
          org_id: org,
          roles: ["org:owner"],
          tenant_id: "other",
        })
      ).body,
    ).toEqual({ tenant_id: org, tenantId: org, roles: ["org:admin"] });
    expect((await member.request("POST", "/api/entities/Page", page)).status).toBe(201);
    const socket = member.live(0);
    await until(() => socket.texts.length > 0);
    await owner.request("PATCH", `/api/auth/orgs/${org}/members/${member.userId}`, {
      role: "member",
    });
    await until(() => socket.closed !== null, 1000);
    expect((await member.request("POST", "/api/entities/Page", page)).status).toBe(403);
    expect((await member.request("GET", "/api/entities/Page")).body["data"]).toHaveLength(1);
    const again = member.live(0);
    await until(() => again.texts.length > 0);
    await owner.request("DELETE", `/api/auth/orgs/${org}/members/${member.userId}`);
    await until(() => again.closed !== null, 1000);
    expect((await member.request("GET", "/api/entities/Page")).body["data"]).toEqual([]);
    expect((await member.request("GET", "/api/auth/me")).body).toEqual({
      user_id: member.userId,
      is_admin: false,
      roles: [],
    });
  });

  test("has an audit log for its owners and admins", async () => {
    const [owner, member] = [await Person.new(), await Person.new()];
    const org = await newOrg(owner);
    await join(org, owner, member, "member");
    for (const person of [owner, member])
      await person.request("POST", "/api/auth/select-org", { org_id: org });
    const log = (await owner.request("GET", "/api/auth/audit/tenant")).body as unknown as {
      event: string;
    }[];
    expect(log.map(({ event }) => event)).toEqual([
      "member.joined",
      "member.invited",
      "organization.created",
    ]);
    expect((await member.request("GET", "/api/auth/audit/tenant")).status).toBe(403);
  });
});

describe("an API key", () => {
  const keyOf = async (
    person: TestClient,
    body: object,
  ): Promise<{ client: TestClient; id: string }> => {
    const { body: made } = await person.request("POST", "/api/auth/api-keys", {
      name: "a program",
      ...body,
    });
    return {
      client: new TestClient(server.url, made["key"] as string, person.userId),
      id: made["id"] as string,
    };
  };

  test("acts as its owner, is shown once, and its sockets close when it is deleted", async () => {
    const person = await Person.new();
    const { client, id } = await keyOf(person, {});
    expect(client.token).toMatch(/^pk\.[^.]+\.[^.]{40,}$/);
    expect((await client.request("GET", "/api/auth/me")).body).toEqual({
      user_id: person.userId,
      is_admin: false,
      roles: [],
      api_key_id: id,
      api_key_scopes: [],
    });
    const listed = await person.request("GET", "/api/auth/api-keys");
    expect(listed.body).toMatchObject([{ id, name: "a program", scopes: [] }]);
    expect(listed.text).not.toContain(client.token?.split(".")[2] ?? "");
    const socket = client.live(0);
    await until(() => socket.texts.length > 0);
    await person.request("DELETE", `/api/auth/api-keys/${id}`);
    await until(() => socket.closed !== null, 1000);
    expect((await client.request("GET", "/api/auth/session")).status).toBe(401);
  });

  test("is limited to its scopes, and can never manage accounts", async () => {
    const person = await Person.new();
    const org = await newOrg(person);
    await person.request("POST", "/api/auth/select-org", { org_id: org });
    const page = { title: "A page", tenantId: org };
    const asks = {
      read: (client: TestClient) => client.request("GET", "/api/entities/Page"),
      query: (client: TestClient) => client.request("POST", "/api/query/Page", {}),
      graph: (client: TestClient) => client.request("POST", "/api/query", { Page: {} }),
      pull: (client: TestClient) => client.request("GET", "/api/sync/pull?since=0"),
      write: (client: TestClient) => client.request("POST", "/api/entities/Page", page),
      push: (client: TestClient) =>
        client.request("POST", "/api/sync/push", { changes: [], client_id: "c" }),
      transact: (client: TestClient) => client.request("POST", "/api/transact", []),
      files: (client: TestClient) => client.request("POST", "/api/files/presign", { size: 1 }),
      call: (client: TestClient) => client.request("POST", "/api/fn/none", {}),
      keys: (client: TestClient) => client.request("POST", "/api/auth/api-keys", { name: "more" }),
      sessions: (client: TestClient) => client.request("GET", "/api/auth/sessions"),
      password: (client: TestClient) =>
        client.request("POST", "/api/auth/password/change", { new_password: "something long" }),
      leave: (client: TestClient) => client.request("DELETE", "/api/auth/account"),
    };
    const expected: [object, (keyof typeof asks)[]][] = [
      [{}, ["read", "query", "graph", "pull", "write", "push", "transact", "files", "call"]],
      [{ scopes: ["read"] }, ["read", "query", "graph", "pull"]],
      [{ scopes: ["entities:Page:read"] }, ["read", "query"]],
      [{ scopes: ["entities:Page:write", "files"] }, ["write", "files"]],
      [{ scopes: ["functions:none"] }, ["call"]],
      [{ scopes: ["functions:other"] }, []],
    ];
    for (const [options, allowed] of expected) {
      const { client } = await keyOf(person, options);
      for (const [name, ask] of Object.entries(asks)) {
        const { body } = await ask(client);
        const isRefused =
          (body["error"] as { code?: string } | undefined)?.code === "INSUFFICIENT_SCOPE";
        expect([options, name, isRefused]).toEqual([
          options,
          name,
          !allowed.includes(name as keyof typeof asks),
        ]);
      }
    }
    const { client } = await keyOf(person, { scopes: ["files"] });
    const socket = client.live(0);
    await until(() => socket.closed !== null);
  });

  test.each([
    [{ scopes: ["everything"] }, "scopes[0]"],
    [{ scopes: "read" }, "scopes"],
    [{ expires: "yesterday" }, "expires"],
    [{ expires: "2001-01-01T00:00:00Z" }, "expires"],
    [{ name: "" }, "name"],
  ])("can't be created with %j", async (body, field) => {
    const person = await Person.new();
    const answer = await person.request("POST", "/api/auth/api-keys", { name: "x", ...body });
    expect([answer.status, answer.body["error"]]).toMatchObject([400, { field }]);
  });

  test("is limited to a hundred per user, even with concurrent requests", async () => {
    const person = await Person.new();
    const answers = await Promise.all(
      Array.from({ length: 115 }, (_, at) =>
        person.request("POST", "/api/auth/api-keys", { name: `key ${at}` }),
      ),
    );
    expect([
      answers.filter(({ status }) => status === 201).length,
      answers.filter(({ status }) => status === 409).length,
    ]).toEqual([100, 15]);
    expect((await person.request("GET", "/api/auth/api-keys")).body).toHaveLength(100);
  }, 60_000);

  test("of another user can't be deleted, and its secret can't be guessed", async () => {
    const [person, other] = [await Person.new(), await Person.new()];
    const { client, id } = await keyOf(person, {});
    expect((await other.request("DELETE", `/api/auth/api-keys/${id}`)).status).toBe(404);
    for (const token of [
      `pk.${id}.wrong`,
      `pk.${id}.`,
      `pk.${id}`,
      "pk.",
      "pk..",
      `pk.nothing.${client.token?.split(".")[2]}`,
    ]) {
      expect(
        (await new TestClient(server.url, token).request("GET", "/api/auth/session")).status,
      ).toBe(401);
    }
  });
});
