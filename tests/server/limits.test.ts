import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  CLIENT_MESSAGES,
  MAX_JSON_VALUES,
  MAX_LOOSE_FILES_OF_GUEST,
  MAX_ROOMS_OF_GUESTS,
  MAX_ROOMS_OF_USER,
  MAX_WRONG_ADMIN_TOKENS,
  SOCKET_RATE,
  type PullResponse,
} from "@pylonsync/protocol";
import { MAX_NEEDLE_LENGTH, MAX_SEARCHES } from "@pylonsync/query";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const HOUR_MS = 60 * 60 * 1000;
/** Several rows of this size exceed the byte limit of a page. */
const LARGE = "x".repeat(MIB - KIB);
const LARGE_ROWS = 9;

const APP = appOf(
  buildManifest({
    name: "limits",
    version: "1.0.0",
    access: "public",
    entities: [
      entity("Note", { text: field.string().optional() }),
      entity(
        "Task",
        { authorId: field.id("Author") },
        {
          relations: [{ name: "author", target: "Author", field: "authorId" }],
        },
      ),
      entity("Author", { bio: field.string() }),
    ],
  }),
);

const clock = { now: Date.now() };
let server: TestServer;
let guest: TestClient;
let admin: TestClient;
beforeAll(async () => {
  server = await startServer(
    APP,
    { PYLON_TRUST_PROXY_HOPS: "1", PYLON_FILES_GUEST_BYTES: "1000", PYLON_LOG_LEVEL: "warn" },
    {
      now: () => clock.now,
      random: (bytes) => crypto.getRandomValues(bytes),
    },
  );
  guest = await TestClient.guest(server.url);
  admin = new TestClient(server.url, ADMIN_TOKEN);
});
afterAll(() => server.stop());

function codeOf({ body }: { readonly body: Readonly<Record<string, unknown>> }): unknown {
  return (body["error"] as { readonly code?: unknown } | undefined)?.code;
}

describe("D2: a body", () => {
  const costly = [
    ["nests", "[".repeat(MIB)],
    ["nests in objects", '{"a":'.repeat(MIB)],
    ["has values without end", `[${"0,".repeat(MAX_JSON_VALUES)}0]`],
  ] as const;

  test.each(costly)("that %s is rejected, on every route", async (_name, body) => {
    for (const path of ["/api/entities/Note", "/api/sync/push", "/api/transact"] as const) {
      const answer = await guest.request("POST", path, body);
      expect([path, answer.status, codeOf(answer)]).toEqual([path, 400, "INVALID_JSON"]);
    }
  });

  test("that nests too deep is rejected before the rest of it has arrived", async () => {
    let taken = 0;
    const body = new ReadableStream({
      pull(controller) {
        taken += 1;
        controller.enqueue(new Uint8Array(64 * KIB).fill(0x5b));
        if (taken === 160) controller.close();
      },
    });
    const answer = await fetch(`${server.url}/api/sync/push`, { method: "POST", body });
    expect(answer.status).toBe(400);
    expect(taken).toBeLessThan(160);
  });

  test("may be as large as its route needs", async () => {
    const body = { text: "x".repeat(65 * KIB) };
    for (const path of [
      "/api/auth/password/login",
      "/api/rooms/join",
      "/api/link",
      "/api/files/presign",
    ])
      expect([path, codeOf(await guest.request("POST", path, body))]).toEqual([
        path,
        "PAYLOAD_TOO_LARGE",
      ]);
    expect((await guest.request("POST", "/api/entities/Note", body)).status).toBe(201);
  });
});

describe("D3: a row", () => {
  const tooLarge = { text: "x".repeat(MIB + 1) };

  test("has a size limit, on every write path", async () => {
    const answer = await guest.request("POST", "/api/entities/Note", tooLarge);
    expect([answer.status, codeOf(answer)]).toEqual([413, "PAYLOAD_TOO_LARGE"]);
    expect(answer.body["error"]).toMatchObject({ field: "text" });
    const id = await guest.insert("Note", { text: "small" });
    expect((await guest.request("PATCH", `/api/entities/Note/${id}`, tooLarge)).status).toBe(413);
    const transact = await guest.request("POST", "/api/transact", [
      { op: "insert", entity: "Note", data: tooLarge },
    ]);
    expect(transact.body["committed"]).toBe(false);
    const { body } = await guest.request("POST", "/api/sync/push", {
      results: true,
      changes: [
        { entity: "Note", row_id: "pushed-large", kind: "insert", data: tooLarge },
        { entity: "Note", row_id: "pushed-small", kind: "insert", data: { text: "fits" } },
      ],
    });
    expect(body["results"]).toMatchObject([
      { status: "refused", error: { code: "PAYLOAD_TOO_LARGE" } },
      { status: "applied" },
    ]);
  });

  test("is measured in bytes", async () => {
    const text = "ü".repeat(600_000);
    const answer = await guest.request("POST", "/api/entities/Note", { text });
    expect(answer.status).toBe(413);
  });
});

describe("D3: the size of a page is limited in bytes", () => {
  let ids: string[] = [];
  beforeAll(async () => {
    for (let n = 0; n < LARGE_ROWS; n += 1) {
      const authorId = await guest.insert("Author", { bio: LARGE });
      ids.push(authorId);
    }
    ids = ids.toSorted();
    for (let n = 0; n < 2 * LARGE_ROWS; n += 1) await guest.insert("Task", { authorId: ids[0] });
  });

  test("of a list", async () => {
    const found: unknown[] = [];
    let pages = 0;
    for (let hasMore = true; hasMore; pages += 1) {
      const { body, text } = await guest.request(
        "GET",
        `/api/entities/Author?limit=1000&offset=${found.length}`,
      );
      expect(text.length).toBeLessThan(4 * MIB);
      const data = body["data"] as readonly { readonly id: string }[];
      found.push(...data.map(({ id }) => id));
      expect(body["count"]).toBe(data.length);
      hasMore = body["has_more"] as boolean;
    }
    expect(found).toEqual(ids);
    expect(pages).toBeGreaterThan(2);
  });

  test("of a cursor", async () => {
    const found: unknown[] = [];
    let after: unknown = "";
    while (after !== null) {
      const { body, text } = await guest.request(
        "GET",
        `/api/entities/Author/cursor?limit=1000${after === "" ? "" : `&after=${String(after)}`}`,
      );
      expect(text.length).toBeLessThan(4 * MIB);
      found.push(...(body["data"] as readonly { readonly id: string }[]).map(({ id }) => id));
      expect(body["has_more"]).toBe(body["next_cursor"] !== null);
      after = body["next_cursor"];
    }
    expect(found).toEqual(ids);
  });

  test("of a pull, and a pull without a limit returns everything", async () => {
    const paged: PullResponse["changes"] = [];
    let page = "";
    for (;;) {
      const { body, text } = await guest.request("GET", `/api/sync/pull?limit=1000${page}`);
      expect(text.length).toBeLessThan(4 * MIB);
      const answer = body as unknown as PullResponse;
      paged.push(...answer.changes);
      if (answer.next_page === undefined) break;
      page = `&page=${answer.next_page}`;
    }
    const { text, body } = await guest.request("GET", "/api/sync/pull");
    expect(text.length).toBeGreaterThan(LARGE_ROWS * LARGE.length);
    const whole = body as unknown as PullResponse;
    const idsOf = (changes: PullResponse["changes"]): string[] =>
      changes.map(({ entity: name, row_id: id }) => `${name}/${id}`);
    expect(idsOf(whole.changes)).toEqual(idsOf(paged));
    expect(Object.keys(whole)).toEqual(["changes", "cursor", "has_more", "epoch", "schema"]);
    expect(text).toBe(JSON.stringify(whole));
  });

  test("of the change log", async () => {
    const seen = new Set<string>();
    let since = 1;
    for (let hasMore = true; hasMore;) {
      const { body, text } = await guest.request("GET", `/api/sync/pull?since=${since}`);
      expect(text.length).toBeLessThan(4 * MIB);
      const answer = body as unknown as PullResponse;
      for (const { row_id: id } of answer.changes) seen.add(id);
      expect(answer.cursor.last_seq).toBeGreaterThan(since);
      since = answer.cursor.last_seq;
      hasMore = answer.has_more;
    }
    expect(ids.filter((id) => !seen.has(id))).toEqual([]);
  });

  test("of an export, which still contains everything", async () => {
    const { body } = await admin.request("GET", "/api/export/Author");
    expect(body["counts"]).toEqual({ Author: LARGE_ROWS });
    const { Author = [] } = body["entities"] as Readonly<Record<string, { id: string }[]>>;
    expect(Author.map(({ id }) => id)).toEqual(ids);
  });

  test("and a result without further pages is rejected", async () => {
    const requests = [
      ["/api/query/Author", {}],
      ["/api/query", { Author: {} }],
      // Eighteen small rows, each of which includes a large one.
      ["/api/query", { Task: { include: { author: {} } } }],
      ["/api/aggregate/Author", { count: true, groupBy: ["id", "bio"] }],
    ] as const;
    for (const [path, body] of requests)
      expect([path, codeOf(await guest.request("POST", path, body))]).toEqual([
        path,
        "RESULT_TOO_LARGE",
      ]);
    const few = await guest.request("POST", "/api/query/Author", { $limit: 3 });
    expect(few.status).toBe(200);
    expect(few.body).toHaveLength(3);
  });
});

describe("D4: a socket", () => {
  const floods: readonly (readonly [string, string | Uint8Array<ArrayBuffer>])[] = [
    ["junk", "x"],
    ["binary", new Uint8Array(10)],
    ["pings", '{"type":"ping"}'],
    ["messages of no kind", '{"type":"none"}'],
    ["messages that are too long", "x".repeat(CLIENT_MESSAGES.topic + 1)],
  ];
  test.each(floods)("that is flooded with %s is closed with a code", async (_name, message) => {
    const { body } = await guest.request("GET", "/api/sync/pull?limit=0");
    const { last_seq: head } = (body as unknown as PullResponse).cursor;
    const other = await guest.live(head).ready();
    const flooding = await guest.live(head).ready();
    for (let n = 0; n <= SOCKET_RATE.frames; n += 1) flooding.socket.send(message);
    await until(() => flooding.closed !== null);
    expect(flooding.closed?.code).toBe(1008);
    expect(other.closed).toBe(null);
    other.close();
  });
});

describe("D5:", () => {
  test("a filter has a limit of text searches, and of their length", async () => {
    const search = { text: { $like: "a" } };
    const query = async (filter: unknown): Promise<number> =>
      (await guest.request("POST", "/api/query/Note", { $limit: 1, ...(filter as object) })).status;
    const times = (count: number): unknown => ({
      $or: Array.from({ length: count }, () => search),
    });
    expect(await query(times(MAX_SEARCHES))).toBe(200);
    expect(await query(times(MAX_SEARCHES + 1))).toBe(400);
    for (const operator of ["$like", "$startsWith"]) {
      const needle = (length: number): unknown => ({ text: { [operator]: "x".repeat(length) } });
      expect(await query(needle(MAX_NEEDLE_LENGTH))).toBe(200);
      expect(await query(needle(MAX_NEEDLE_LENGTH + 1))).toBe(400);
    }
  });

  test("the guests of one address can't take all rooms", async () => {
    const join = async (client: TestClient, room: string, address: string): Promise<unknown> => {
      const answer = await client.request(
        "POST",
        "/api/rooms/join",
        { room },
        { "X-Forwarded-For": `${address}:${1000 + Math.floor(Math.random() * 60_000)}` },
      );
      return answer.status === 200 ? "joined" : codeOf(answer);
    };
    const guests = await Promise.all(
      Array.from({ length: MAX_ROOMS_OF_GUESTS / MAX_ROOMS_OF_USER + 1 }, () =>
        TestClient.guest(server.url),
      ),
    );
    const [first = guest] = guests;
    for (const [index, client] of guests.slice(0, -1).entries()) {
      for (let n = 0; n < MAX_ROOMS_OF_USER; n += 1)
        expect(await join(client, `${index}-${n}`, "203.0.113.1")).toBe("joined");
    }
    const last = guests.at(-1) ?? guest;
    expect(await join(last, "one-more", "203.0.113.1")).toBe("ROOM_LIMIT_REACHED");
    // Joining a room that another guest of the address is in does not count towards the limit.
    expect(await join(last, "0-0", "203.0.113.1")).toBe("joined");
    expect(await join(guest, "one-more", "203.0.113.2")).toBe("joined");
    await first.request(
      "POST",
      "/api/rooms/leave",
      { room: "0-1" },
      { "X-Forwarded-For": "203.0.113.1" },
    );
    expect(await join(last, "one-more", "203.0.113.1")).toBe("joined");
  });

  test("a guest's files have a quota, and are deleted if no row refers to them", async () => {
    const uploader = await TestClient.guest(server.url);
    const upload = (bytes: number): ReturnType<TestClient["request"]> =>
      uploader.request("POST", "/api/files/upload", "x".repeat(bytes), {
        "Content-Type": "text/plain",
      });
    const file = await upload(600);
    expect(file.status).toBe(201);
    expect(codeOf(await upload(600))).toBe("FILE_QUOTA_REACHED");
    const announced = await uploader.request("POST", "/api/files/presign", {
      name: "a.txt",
      content_type: "text/plain",
      size: 600,
    });
    expect(codeOf(announced)).toBe("FILE_QUOTA_REACHED");
    expect((await upload(300)).status).toBe(201);
    const read = (): Promise<number> =>
      uploader.request("GET", String(file.body["url"])).then(({ status }) => status);
    expect(await read()).toBe(200);
    clock.now += 25 * HOUR_MS;
    await server.server.maintain();
    expect(await read()).toBe(404);
    expect((await upload(600)).status).toBe(201);
    expect(MAX_LOOSE_FILES_OF_GUEST).toBeGreaterThan(0);
  });

  test.each(["/metrics", "/api/admin/logs", "/api/export"])(
    "guesses of the admin token at %s are limited and logged, without the token",
    async (path) => {
      const from = { "X-Forwarded-For": `198.51.100.${path.length}` };
      const guess = `guess-${path}`;
      const statuses = [];
      for (let n = 0; n <= MAX_WRONG_ADMIN_TOKENS; n += 1)
        statuses.push(
          (await new TestClient(server.url, guess).request("GET", path, undefined, from)).status,
        );
      expect([...new Set(statuses)]).toEqual([401, 429]);
      // After too many guesses even the right token is refused; other callers are served.
      expect((await admin.request("GET", path, undefined, from)).status).toBe(429);
      expect((await guest.request("GET", "/api/entities/Note", undefined, from)).status).toBe(200);
      const { text, status } = await admin.request("GET", "/api/admin/logs?limit=1000");
      expect(status).toBe(200);
      expect(text).toContain("wrong token");
      expect(text).toContain(from["X-Forwarded-For"]);
      expect(text).not.toContain(guess);
    },
  );

  test("a client whose session has ended is not counted as guessing", async () => {
    const from = { "X-Forwarded-For": "198.51.100.99" };
    const former = await TestClient.guest(server.url);
    await former.request("DELETE", "/api/auth/session");
    for (let n = 0; n < 2 * MAX_WRONG_ADMIN_TOKENS; n += 1)
      expect((await former.request("GET", "/api/entities/Note", undefined, from)).status).toBe(401);
    expect((await admin.request("GET", "/metrics", undefined, from)).status).toBe(200);
  });
});

test("F7: the maximum page size of a cursor is that of a list", async () => {
  expect((await guest.request("GET", "/api/entities/Task/cursor?limit=1000")).status).toBe(200);
  expect((await guest.request("GET", "/api/entities/Task/cursor?limit=1001")).status).toBe(400);
});

test("a used-up window is described by headers, which other origins can read", async () => {
  const origin = "https://shop.example.com";
  const limited = await startServer(APP, {
    PYLON_RATE_LIMIT_MAX: "2",
    PYLON_CORS_ORIGIN: origin,
  });
  const ask = (): Promise<Response> =>
    fetch(`${limited.url}/api/entities/Note`, { headers: { Origin: origin } });
  expect([(await ask()).status, (await ask()).status]).toEqual([200, 200]);
  const refused = await ask();
  const { error } = (await refused.json()) as { readonly error: Readonly<Record<string, unknown>> };
  const seconds = refused.headers.get("Retry-After");
  expect(error).toMatchObject({
    code: "RATE_LIMITED",
    retry_after_secs: Number(seconds),
    limit: 2,
  });
  const told = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];
  expect(told.map((name) => refused.headers.get(name))).toEqual(["2", "0", seconds]);
  const exposed = refused.headers.get("Access-Control-Expose-Headers")?.split(", ");
  expect(exposed).toEqual(expect.arrayContaining(told));
  await limited.stop();
});
