import { afterEach, describe, expect, spyOn, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mutation, query, shard, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { startMailServer } from "../support/mail-server.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { PostgresServer, WITHOUT_FLUSHING } from "../support/servers/postgres.ts";
import { RedisServer } from "../support/servers/redis.ts";
import { S3Server } from "../support/servers/s3.ts";
import trap from "../support/shard-app/shards/trap.ts";
import { joinWithoutReading, ShardSocket } from "../support/shard-socket.ts";

const ROOT = join(import.meta.dir, "..", "..");
const SECRET = "a-secret-that-was-asked-for";

/**
 * A shard whose steps take longer than their interval, and whose view is too large for a slow
 * client.
 */
const wall = shard({
  tickRate: 60,
  input: v.object({}),
  init: () => ({ tick: 0 }),
  onJoin: (_state, _player, step) => void step.get("Note", "none"),
  onResult: () => undefined,
  tick: (state, step) => {
    state.tick = step.tick;
    const until = performance.now() + 20;
    while (performance.now() < until);
  },
  view: ({ tick }) => ({ text: `${tick}`.repeat(100_000) }),
});

const app = appOf(
  buildManifest({
    name: "observed",
    version: "1.0.0",
    entities: [
      entity("Note", { text: field.string() }),
      entity("User", {
        email: field.string().unique(),
        displayName: field.string(),
        emailVerified: field.bool().default(false),
      }),
    ],
    policies: [policy({ name: "all", entity: "Note", allow: "true" })],
    crons: [{ name: "leap-day", schedule: "0 0 29 2 *", function: "fill", args: { rows: 0 } }],
  }),
  {
    fill: mutation({
      args: { rows: v.number() },
      async handler(ctx, { rows }) {
        for (let row = 0; row < rows; row += 1)
          await ctx.db.insert("Note", { text: `${row} ${"words ".repeat(200)}` });
        return rows;
      },
    }),
    search: query({
      args: { text: v.string() },
      handler: (ctx, { text }) => ctx.db.count("Note", { text: { $like: `%${text}%` } }),
    }),
    broken: query({
      args: {},
      async handler() {
        throw new TypeError("a bug of the app");
      },
    }),
  },
  [],
  { wall, trap },
);
const SHARD_APP = join(import.meta.dir, "..", "support", "shard-app");
/** Adds the file of a shard that runs on its own thread. */
const isolatedApp = {
  ...app,
  dir: SHARD_APP,
  shardFiles: new Map([["trap", join(SHARD_APP, "shards", "trap.ts")]]),
};

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

async function serverWith(env: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  const server = await startServer(isolatedApp, { PYLON_LOG_FORMAT: "json", ...env });
  stops.push(server.stop);
  return server;
}

function adminOf(server: TestServer): TestClient {
  return new TestClient(server.url, ADMIN_TOKEN);
}

type Line = Readonly<Record<string, unknown>>;

/** The lines that the server logs while `work` runs. */
async function logged(work: (soFar: readonly Line[]) => Promise<unknown>): Promise<Line[]> {
  const lines: Line[] = [];
  const spy = spyOn(process.stderr, "write").mockImplementation((text: string | Uint8Array) => {
    lines.push(JSON.parse(String(text)) as Line);
    return true;
  });
  try {
    await work(lines);
  } finally {
    spy.mockRestore();
  }
  return lines;
}

interface Family {
  readonly type: string;
  /** Without `le`. */
  readonly labels: readonly string[];
}

interface Scrape {
  readonly families: Map<string, Family>;
  readonly value: (series: string) => number | undefined;
}

/** The metrics of a scrape, by name. */
async function scrape(server: TestServer): Promise<Scrape> {
  const { text, status } = await adminOf(server).request("GET", "/metrics");
  expect(status).toBe(200);
  const families = new Map<string, Family>();
  for (const [, name = "", type = ""] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
    const samples = [
      ...text.matchAll(new RegExp(`^${name}(?:_bucket|_sum|_count)?\\{([^}]*)\\} `, "gm")),
    ];
    const labels = new Set(
      samples.flatMap(([, inside = ""]) =>
        [...inside.matchAll(/(\w+)="/g)].map(([, label = ""]) => label),
      ),
    );
    labels.delete("le");
    families.set(name, { type, labels: [...labels].toSorted((a, b) => a.localeCompare(b)) });
  }
  const values = new Map(
    [...text.matchAll(/^(pylon_.+) (\S+)$/gm)].map(([, series = "", value]) => [
      series,
      Number(value),
    ]),
  );
  return { families, value: (series) => values.get(series) };
}

describe("metrics", () => {
  /** One client plays, and another one does not read. */
  async function playOnWall(player: TestClient): Promise<void> {
    const deaf = joinWithoutReading(await TestClient.guest(player.url), "wall");
    const { userId: sid, token } = player;
    const socket = await new ShardSocket(player.url, { shard: "wall", sid, token }).joined();
    socket.send({});
    socket.send("no input");
    await until(async () => {
      const { text } = await new TestClient(player.url, ADMIN_TOKEN).request("GET", "/metrics");
      const names = ["pylon_shard_steps_left_out_total{", "pylon_shard_calls_total{"];
      return names.every((name) => text.includes(name));
    });
    stops.push(async () => socket.close());
    deaf.destroy();
    const lost = await new ShardSocket(player.url, { shard: "trap:1", sid, token }).joined();
    lost.send({ how: "exit" });
    await lost.ended();
  }

  /** A server that uses every feature that has metrics. */
  async function busyServer(): Promise<TestServer> {
    const [redis, s3, mail] = await Promise.all([
      RedisServer.start(),
      S3Server.start(),
      startMailServer(),
    ]);
    stops.push(
      () => redis.stop(),
      () => s3.stop(),
      () => mail.stop(),
    );
    const server = await serverWith({
      REDIS_URL: redis.url,
      ...s3.env,
      PYLON_SMTP_URL: mail.url,
      PYLON_EMAIL_FROM: "no-reply@example.com",
      PYLON_RATE_LIMIT_MAX: "1000",
      PYLON_FN_RATE_LIMIT_MAX: "5",
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
      PYLON_DRAIN_SECS: "1",
    });
    const guest = await TestClient.guest(server.url);
    const socket = await guest.live(0).ready();
    await guest.insert("Note", { text: "one" });
    await socket.heard(1);
    stops.push(async () => socket.close());
    await guest.request("GET", "/api/sync/pull?since=0");
    await guest.request("POST", "/api/sync/push", {
      changes: [{ entity: "Note", row_id: "n1", kind: "insert", data: { text: "two" } }],
    });
    for (let call = 0; call < 7; call += 1)
      await guest.request("POST", "/api/fn/search", { text: "x" });
    await guest.request("POST", "/api/fn/broken", {});
    await new TestClient(server.url, null).request("POST", "/api/auth/password/login", {
      email: "nobody@example.com",
      password: "a wrong password",
    });
    await new TestClient(server.url, null).request("POST", "/api/auth/magic/send", {
      email: "somebody@example.com",
    });
    await playOnWall(guest);
    const form = new FormData();
    form.set("file", new File(["content"], "file.txt"));
    await fetch(`${server.url}/api/files/upload`, {
      method: "POST",
      headers: { Authorization: `Bearer ${guest.token}` },
      body: form,
    });
    const admin = adminOf(server);
    const { body } = await admin.request("POST", "/api/jobs", {
      name: "fill",
      payload: { rows: 1 },
    });
    await until(
      async () =>
        (await admin.request("GET", `/api/jobs/${String(body["id"])}`)).body["status"] ===
        "completed",
    );
    return server;
  }

  /** The metric families that the docs page lists. */
  async function documentedFamilies(): Promise<ReadonlyMap<string, Family>> {
    const page = await Bun.file(join(ROOT, "docs/deploy/metrics.md")).text();
    return new Map(
      [...page.matchAll(/^\| `(pylon_\w+)` \| (\w+) \| ([^|]*)\|/gm)].map(
        ([, name = "", type = "", labels = ""]): [string, Family] => [
          name,
          {
            type,
            labels: [...labels.matchAll(/`(\w+)`/g)]
              .map(([, label = ""]) => label)
              .toSorted((a, b) => a.localeCompare(b)),
          },
        ],
      ),
    );
  }

  /** The names of the families that the queries of a file use. */
  async function queriedFamilies(file: string, known: ReadonlySet<string>): Promise<Set<string>> {
    const text = await Bun.file(join(ROOT, file)).text();
    return new Set(
      [...text.matchAll(/\bpylon_[a-z_]+/g)].map(([name]) =>
        known.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ""),
      ),
    );
  }

  /** Checks the values that follow from the work of {@link busyServer}. */
  function expectBusyValues(value: Scrape["value"]): void {
    expect(value('pylon_live_connections{transport="websocket"}')).toBe(1);
    expect(value('pylon_rate_limited_total{limit="function"}')).toBe(2);
    expect(value('pylon_sign_ins_total{outcome="refused"}')).toBe(1);
    expect(value('pylon_mails_total{outcome="sent"}')).toBe(1);
    expect(value('pylon_sync_pulls_total{outcome="snapshot"}')).toBe(1);
    expect(value('pylon_sync_pushed_changes_total{outcome="applied"}')).toBe(1);
    expect(
      value(
        'pylon_function_duration_seconds_count{function="broken",type="query",outcome="failed"}',
      ),
    ).toBe(1);
    expect(value('pylon_storage_requests_total{operation="PutObject",outcome="ok"}')).toBe(1);
    expect(value('pylon_part_up{part="redis"}')).toBe(1);
    expect(value('pylon_cron_late_seconds{cron="leap-day"}')).toBe(0);
    expect(value("pylon_jobs_dead_total")).toBe(0);
    expect(value("pylon_feed_messages_total")).toBeGreaterThan(0);
    expect(value("pylon_feed_lag_seconds_count")).toBeGreaterThan(0);
    expect(value('pylon_commit_duration_seconds_count{outcome="committed"}')).toBeGreaterThan(0);
    expect(value("pylon_http_requests_total")).toBe(
      (value("pylon_http_requests_ok_total") ?? 0) +
        (value("pylon_http_requests_errors_total") ?? 0),
    );
  }

  test("are those of docs/deploy/metrics.md, of the dashboard and of the alerts", async () => {
    const servers: TestServer[] = [];
    await logged(async () => servers.push(await busyServer()));
    const [server] = servers as [TestServer];
    const { families, value } = await scrape(server);
    const documented = await documentedFamilies();
    expect([...families.keys()].toSorted()).toEqual([...documented.keys()].toSorted());
    const isAbsent = (name: string): boolean =>
      name === "pylon_database_connections" && families.get(name)?.labels.length === 0;
    for (const [name, family] of families)
      expect({ name, ...family, labels: isAbsent(name) ? ["state"] : family.labels }).toEqual({
        name,
        ...(documented.get(name) as Family),
      });

    expectBusyValues(value);
    const { version } = (await Bun.file(join(ROOT, "packages/server/package.json")).json()) as {
      readonly version: string;
    };
    expect(value(`pylon_build_info{version="${version}"}`)).toBe(1);

    const known = new Set(families.keys());
    for (const file of ["deploy/grafana/dashboard.json", "deploy/prometheus/alerts.yml"]) {
      const queried = await queriedFamilies(file, known);
      expect(queried.size).toBeGreaterThan(5);
      expect([file, [...queried].filter((name) => !known.has(name))]).toEqual([file, []]);
    }
  });

  test("have no labels that callers choose", async () => {
    const server = await serverWith();
    const marker = "made-up-by-a-caller";
    await logged(async () => {
      await fetch(`${server.url}/${marker}?${marker}`);
      await fetch(`${server.url}/api/fn/${marker}`, { method: "POST", body: "{}" });
      await fetch(`${server.url}/api/entities/${marker}/${marker}`, {
        headers: { Authorization: `Bearer ${marker}` },
      });
      await fetch(`${server.url}/api/sync/pull?since=0`, { method: "PROPFIND" });
    });
    const { text } = await adminOf(server).request("GET", "/metrics");
    expect(text).not.toContain(marker);
    expect(text).not.toContain("PROPFIND");
  });
});

describe("the log", () => {
  test("contains a slow statement and its origin, without its parameters", async () => {
    const server = await serverWith({ PYLON_LOG_LEVEL: "warn", PYLON_SLOW_QUERY_MS: "1" });
    const admin = adminOf(server);
    const lines = await logged(async () => {
      await admin.request("POST", "/api/fn/fill", { rows: 3000 });
      expect(await admin.request("POST", "/api/fn/search", { text: SECRET })).toMatchObject({
        status: 200,
        text: "0",
      });
      expect(
        (await admin.request("POST", "/api/query/Note", { text: { $like: `%${SECRET}%` } })).status,
      ).toBe(200);
    });
    expect(JSON.stringify(lines)).not.toContain(SECRET);
    const slow = lines.filter(
      ({ message, sql }) => message === "slow query" && String(sql).includes('FROM "Note"'),
    );
    expect(slow.map(({ from }) => from)).toEqual(
      expect.arrayContaining(["function search", "POST /api/query/:entity"]),
    );
    for (const line of slow)
      expect(line).toMatchObject({
        level: "warn",
        ms: expect.any(Number),
        rows: expect.any(Number),
        request_id: expect.stringMatching(/^[0-9a-f]{8}-/),
      });
  });

  test("contains no statements if that is switched off", async () => {
    const server = await serverWith({ PYLON_LOG_LEVEL: "warn", PYLON_SLOW_QUERY_MS: "0" });
    const lines = await logged(async () => {
      await adminOf(server).request("POST", "/api/fn/fill", { rows: 500 });
      await adminOf(server).request("POST", "/api/fn/search", { text: SECRET });
    });
    expect(lines).toEqual([]);
  });

  test("contains every request if switched on, with its route instead of its path", async () => {
    const servers: TestServer[] = [];
    await logged(async () =>
      servers.push(await serverWith({ PYLON_LOG_LEVEL: "info", PYLON_ACCESS_LOG: "1" })),
    );
    const [server] = servers as [TestServer];
    const lines = await logged(async () => {
      await adminOf(server).request("GET", `/api/entities/Note/${SECRET}?token=${SECRET}`);
      await fetch(`${server.url}/health`);
    });
    expect(lines).toEqual([
      expect.objectContaining({
        message: "request",
        level: "info",
        route: "/api/entities/:entity/:id",
        method: "GET",
        status: 404,
        address: expect.any(String),
        request_id: expect.any(String),
      }),
    ]);
    expect(JSON.stringify(lines)).not.toContain(SECRET);
  });

  test("has the request id in every line, from a trusted proxy if it is well-formed", async () => {
    const server = await serverWith({ PYLON_TRUST_PROXY_HOPS: "1" });
    const call = (id: string): Promise<Response> =>
      fetch(`${server.url}/api/fn/broken`, {
        method: "POST",
        headers: { "X-Request-Id": id },
        body: "{}",
      });
    const answers: Response[] = [];
    const lines = await logged(async () => {
      for (const id of [
        "proxy-1.A_b",
        "x".repeat(128),
        "x".repeat(129),
        "not well formed",
        '"quoted"',
      ])
        answers.push(await call(id));
    });
    const ids = answers.map(({ headers }) => headers.get("x-request-id") ?? "");
    expect(ids.slice(0, 2)).toEqual(["proxy-1.A_b", "x".repeat(128)]);
    for (const id of ids.slice(2)) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-z]+$/);
    expect([...new Set(lines.map((line) => line["request_id"]))]).toEqual(ids);
    expect(lines.filter(({ message }) => message === "function failed")).toHaveLength(5);

    const untrusting = await serverWith();
    await logged(async () => {
      const answer = await fetch(`${untrusting.url}/api/fn/broken`, {
        method: "POST",
        headers: { "X-Request-Id": "forged" },
        body: "{}",
      });
      expect(answer.headers.get("x-request-id")).not.toBe("forged");
    });
  });
});

describe("/readyz", () => {
  async function ready(server: TestServer): Promise<{
    readonly status: number;
    readonly state: unknown;
    readonly parts: Readonly<Record<string, string>>;
  }> {
    const { status, body } = await new TestClient(server.url, null).request("GET", "/readyz");
    const found = (body["error"] ?? body) as {
      readonly status?: string;
      readonly code?: string;
      readonly parts: Readonly<Record<string, string>>;
    };
    return { status, state: found.status ?? found.code, parts: found.parts };
  }

  test("reports each part, and stays 200 without Redis and S3", async () => {
    const [redis, s3] = await Promise.all([RedisServer.start(), S3Server.start()]);
    stops.push(
      () => redis.stop(),
      () => s3.stop(),
    );
    const server = await serverWith({ REDIS_URL: redis.url, ...s3.env, PYLON_DRAIN_SECS: "1" });
    expect(await ready(server)).toEqual({
      status: 200,
      state: "ready",
      parts: { server: "up", database: "up", feed: "up", files: "up", redis: "up" },
    });
    await logged(async () => {
      await redis.kill();
      await s3.down();
      await until(async () => {
        const { status, state, parts } = await ready(server);
        expect(status).toBe(200);
        return state === "degraded" && parts["redis"] === "lost" && parts["files"] === "down";
      }, 60_000);
      expect((await ready(server)).parts["database"]).toBe("up");
      await redis.start();
      await s3.up();
      await until(async () => (await ready(server)).state === "ready", 15_000);
    });
  });

  test("a hanging Redis is reported as lost, and no probe waits for it", async () => {
    const redis = await RedisServer.start();
    stops.push(() => redis.stop());
    const server = await serverWith({
      REDIS_URL: redis.url,
      PYLON_RATE_LIMIT_MAX: "100000",
      PYLON_DRAIN_SECS: "1",
    });
    await logged(async () => {
      redis.pause();
      await fetch(`${server.url}/api/sync/pull?since=0`);
      await until(async () => (await ready(server)).parts["redis"] === "lost", 15_000);
      redis.resume();
      await until(async () => (await ready(server)).state === "ready", 15_000);
    });
  });

  test("is 503 without the database, while scrapes and /health work, then 200", async () => {
    await using postgres = await PostgresServer.start(WITHOUT_FLUSHING);
    const server = await serverWith({
      DATABASE_URL: await postgres.createDatabase(),
      PYLON_DB_PATH: "unused",
      PYLON_DRAIN_SECS: "1",
    });
    expect(await ready(server)).toMatchObject({ status: 200, state: "ready" });
    await logged(async () => {
      await postgres.down();
      await until(async () => (await ready(server)).status === 503, 15_000);
      const { state, parts } = await ready(server);
      expect([state, parts["database"], parts["server"]]).toEqual(["NOT_READY", "down", "up"]);
      const { value } = await scrape(server);
      expect(value('pylon_part_up{part="database"}')).toBe(0);
      expect((await fetch(`${server.url}/health`)).status).toBe(200);
      await until(async () => (await ready(server)).parts["feed"] === "lost", 15_000);
      await postgres.up();
      await until(async () => (await ready(server)).state === "ready", 20_000);
    });
    await server.stop();
  });

  test("an unwritable files folder degrades it, and is logged without a request", async () => {
    const dir = mkdtempSync(join(tmpdir(), "pylon-files-"));
    stops.push(async () => rmSync(dir, { recursive: true, force: true }));
    writeFileSync(join(dir, "uploads"), "a file where the folder should be");
    const lines = await logged(async (soFar) => {
      const server = await serverWith({
        PYLON_FILES_DIR: join(dir, "uploads"),
        PYLON_LOG_LEVEL: "info",
      });
      await until(() => soFar.some(({ message }) => message === "file storage unavailable"));
      expect(await ready(server)).toMatchObject({
        status: 200,
        state: "degraded",
        parts: { files: "down", database: "up" },
      });
      rmSync(join(dir, "uploads"));
      await until(async () => (await ready(server)).state === "ready");
    });
    const told = lines.filter(({ message }) => String(message).startsWith("file storage"));
    expect(told).toMatchObject([
      { level: "warn", state: "down", reason: "EEXIST" },
      { level: "info", message: "file storage is back" },
    ]);
  });
});
