import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ChangeEvent } from "@pylonsync/protocol";
import { mutation, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";

// A returning client gets the current state of rows, and no row of a client goes back in time.

const app = appOf(
  buildManifest({
    name: "shared-todos",
    version: "1.0.0",
    entities: [
      entity("Todo", {
        title: field.string(),
        note: field.string().default(""),
        isShared: field.bool(),
        ownerId: field.string().owner(),
      }),
      entity("Counter", { n: field.int() }),
    ],
    policies: [
      policy({
        name: "todos",
        entity: "Todo",
        allowRead: "auth.userId == data.ownerId || data.isShared",
        allowWrite: "auth.userId == data.ownerId",
      }),
      policy({ name: "counters", entity: "Counter", allow: "true" }),
    ],
  }),
  {
    count: mutation({
      args: { times: v.int() },
      handler: async (ctx, { times }) => {
        for (let n = 0; n < times; n += 1) await ctx.db.insert("Counter", { n });
      },
    }),
  },
);

let server: TestServer;
let owner: TestClient;
beforeAll(async () => {
  server = await startServer(app);
  owner = await TestClient.guest(server.url);
});
afterAll(() => server.stop());

const headOf = async (client: TestClient): Promise<number> => {
  const { body } = await client.request("GET", "/api/sync/pull?since=0&limit=0");
  return (body["cursor"] as { last_seq: number }).last_seq;
};
const patch = (client: TestClient, path: string, data: object): Promise<unknown> =>
  client.request("PATCH", `/api/entities/${path}`, data);

/** The text of all pages of a pull. */
async function pulled(client: TestClient, since: number): Promise<string> {
  let text = "";
  for (let cursor = since, hasMore = true; hasMore;) {
    const answer = await client.request("GET", `/api/sync/pull?since=${cursor}`);
    expect(answer.status).toBe(200);
    text += (answer.body["changes"] as object[])
      .map((event) => `${JSON.stringify(event)}\n`)
      .join("");
    cursor = (answer.body["cursor"] as { last_seq: number }).last_seq;
    hasMore = answer.body["has_more"] as boolean;
  }
  return text;
}

async function heardOnSocket(
  client: TestClient,
  since: number | undefined,
  last: string,
): Promise<string> {
  const socket = client.live(since);
  await until(() => socket.texts.some((text) => text.includes(last)));
  if (since !== undefined) await socket.ready();
  socket.close();
  return socket.texts.join("\n");
}

async function heardOnStream(
  client: TestClient,
  since: number | undefined,
  last: string,
): Promise<string> {
  const abort = new AbortController();
  const response = await fetch(
    `${client.url}/events${since === undefined ? "" : `?since=${since}`}`,
    {
      headers: client.token === null ? {} : { Authorization: `Bearer ${client.token}` },
      signal: abort.signal,
    },
  );
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += new TextDecoder().decode(chunk).replaceAll(/^data: /gm, "");
    if (text.includes(last) && (since === undefined || text.includes('"hello"'))) break;
  }
  abort.abort();
  return text;
}

function eventsIn(text: string): ChangeEvent[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith('{"seq"'))
    .map((line) => JSON.parse(line) as ChangeEvent);
}

test("L2: a forged cursor gives current rows, and the ids of rows that were visible", async () => {
  const start = await headOf(owner);
  const add = (title: string, isShared: boolean): Promise<string> =>
    owner.insert("Todo", { title, isShared });
  const edited = await add("past text of an edited one", true);
  const unshared = await add("past text of an unshared one", true);
  const deleted = await add("past text of a deleted one", true);
  const hidden = await add("past text of a private one", false);
  const far = await add("past text of one unshared later", true);
  // More changes than a page holds are in between.
  await owner.request("POST", "/api/fn/count", { times: 600 });
  await patch(owner, `Todo/${far}`, { isShared: false });
  await patch(owner, `Todo/${edited}`, { title: "text of now" });
  await patch(owner, `Todo/${unshared}`, { isShared: false });
  await patch(owner, `Todo/${unshared}`, { title: "private text of now" });
  await owner.request("DELETE", `/api/entities/Todo/${deleted}`);
  await owner.request("DELETE", `/api/entities/Todo/${hidden}`);
  const shown = await add("past text of one shared later", false);
  await patch(owner, `Todo/${shown}`, { title: "shared text", isShared: true });

  for (const reader of [await TestClient.guest(server.url), new TestClient(server.url, null)]) {
    for (const [way, text] of Object.entries({
      pull: await pulled(reader, start || 1),
      socket: await heardOnSocket(reader, start || 1, shown),
      stream: await heardOnStream(reader, start || 1, shown),
      "socket without a cursor": await heardOnSocket(reader, undefined, shown),
      "stream without a cursor": await heardOnStream(reader, undefined, shown),
    })) {
      const events = eventsIn(text).filter(({ entity: name }) => name === "Todo");
      const told = new Map(
        events.map(({ row_id: id, kind, data }) => [id, [kind, data?.["title"]]]),
      );
      expect([way, told]).toEqual([
        way,
        new Map([
          [far, ["delete", undefined]],
          [edited, [told.get(edited)?.[0] ?? "", "text of now"]],
          [unshared, ["delete", undefined]],
          [deleted, ["delete", undefined]],
          [shown, ["insert", "shared text"]],
        ]),
      ]);
      expect([way, text]).not.toEqual([way, expect.stringMatching(/past text|private text/)]);
      expect([way, text.includes(hidden)]).toEqual([way, false]);
    }
  }
});

test("L2: several changes of a row become one patch for clients that could read it", async () => {
  const id = await owner.insert("Todo", { title: "a", note: "n", isShared: false });
  const cursor = await headOf(owner);
  await patch(owner, `Todo/${id}`, { title: "b" });
  await patch(owner, `Todo/${id}`, { isShared: true });
  await patch(owner, `Todo/${id}`, { title: "c" });
  const seq = cursor + 3;
  const whole = { id, title: "c", note: "n", isShared: true, ownerId: owner.userId };
  const other = await TestClient.guest(server.url);
  expect(eventsIn(await pulled(owner, cursor))).toMatchObject([
    { seq, kind: "update", row_id: id, data: { title: "c", isShared: true } },
  ]);
  expect(eventsIn(await pulled(owner, cursor))[0]?.data).not.toHaveProperty("note");
  expect(eventsIn(await pulled(other, cursor))).toMatchObject([
    { seq, kind: "insert", row_id: id, data: whole },
  ]);
});

test("F2: a row that a snapshot read ahead of its cursor does not go back in time", async () => {
  const ids = await Promise.all([0, 0, 0].map((n) => owner.insert("Counter", { n })));
  const last = ids.toSorted().at(-1) ?? "";
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const first = (await admin.request("GET", "/api/sync/pull?since=0&limit=1")).body;
  for (let n = 1; n <= 3; n += 1) await patch(admin, `Counter/${last}`, { n });
  let page = first;
  const rows: ChangeEvent[] = [];
  while (page["next_page"] !== undefined) {
    page = (
      await admin.request(
        "GET",
        `/api/sync/pull?since=0&limit=1000&page=${page["next_page"] as string}`,
      )
    ).body;
    rows.push(...(page["changes"] as ChangeEvent[]));
  }
  const seen = [rows.find(({ row_id: id }) => id === last)?.data?.["n"]];
  const { last_seq: cursor } = page["cursor"] as { last_seq: number };
  const socket = await admin.live(cursor).ready();
  await patch(admin, `Counter/${last}`, { n: 4 });
  await until(() => socket.events.some(({ data }) => data?.["n"] === 4));
  seen.push(
    ...socket.events.filter(({ row_id: id }) => id === last).map(({ data }) => data?.["n"]),
  );
  expect(seen).toEqual([3, 3, 4]);
  socket.close();
});

/** Loads a snapshot in small pages. @returns the counter's values in it, and its cursor */
async function snapshotOf(client: TestClient, counter: string): Promise<[unknown[], number]> {
  const rows: ChangeEvent[] = [];
  let next = "";
  for (;;) {
    const { body } = await client.request("GET", `/api/sync/pull?since=0&limit=5${next}`);
    rows.push(...(body["changes"] as ChangeEvent[]));
    if (body["next_page"] === undefined)
      return [valuesOf(rows, counter), (body["cursor"] as { last_seq: number }).last_seq];
    next = `&page=${body["next_page"] as string}`;
  }
}

function valuesOf(events: readonly ChangeEvent[], counter: string): unknown[] {
  return events.filter(({ row_id: id }) => id === counter).map(({ data }) => data?.["n"]);
}

test("F2: a growing number never decreases for clients that connect meanwhile", async () => {
  // On Postgres the clients switch between two replicas, one of which may get changes later.
  const database =
    process.env["PYLON_TEST_STORE"] === "postgres"
      ? await createDatabase(sharedPostgresUrl())
      : null;
  const env: Record<string, string> = database === null ? {} : { DATABASE_URL: database };
  const first = await startServer(app, env);
  const second = database === null ? first : await startServer(app, env);
  const writer = await TestClient.guest(first.url);
  for (let n = 0; n < 20; n += 1) await writer.insert("Counter", { n: 0 });
  const counter = await writer.insert("Counter", { n: 0 });
  let isOver = false;
  const writing = (async () => {
    for (let n = 1; !isOver; n += 1) await patch(writer, `Counter/${counter}`, { n });
  })();
  const visit = async (client: TestClient, other: TestClient): Promise<unknown[]> => {
    const seen: unknown[] = [];
    for (let round = 0; round < 4; round += 1) {
      const [values, cursor] = await snapshotOf(client, counter);
      seen.push(...values);
      const socket = await other.live(cursor).ready();
      await until(() => valuesOf(socket.events, counter).length >= 3);
      socket.close();
      seen.push(...valuesOf(socket.events, counter));
      // And continues from the last change of the socket.
      const { body } = await client.request(
        "GET",
        `/api/sync/pull?since=${socket.events.at(-1)?.seq ?? 0}`,
      );
      seen.push(...valuesOf(body["changes"] as ChangeEvent[], counter));
    }
    return seen;
  };
  const seen = await Promise.all(
    [1, 2, 3].map(() =>
      visit(new TestClient(first.url, writer.token), new TestClient(second.url, writer.token)),
    ),
  );
  isOver = true;
  await writing;
  for (const values of seen)
    expect(values).toEqual(values.toSorted((a, b) => Number(a) - Number(b)));
  for (const { stop } of new Set([first, second])) await stop();
});
