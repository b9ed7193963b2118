import { afterEach, expect, spyOn, test } from "bun:test";
import { mutation, query, v } from "@pylonsync/functions";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { loadConfig } from "@pylonsync/server";
import { TestClient, until } from "../support/client.ts";
import { OtlpReceiver, type ReceivedSpan } from "../support/otlp-receiver.ts";
import { startMailServer } from "../support/mail-server.ts";
import { RedisServer } from "../support/servers/redis.ts";
import { S3Server } from "../support/servers/s3.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT_ID = "00f067aa0ba902b7";
const TRACEPARENT = { traceparent: `00-${TRACE_ID}-${PARENT_ID}-01` };
const SECRET = "a-secret-that-a-row-holds";

const app = appOf(
  buildManifest({
    name: "traced",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string() })],
    policies: [policy({ name: "all", entity: "Note", allow: "true" })],
  }),
  {
    addNote: mutation({
      args: { text: v.string() },
      async handler(ctx, { text }) {
        await ctx.db.insert("Note", { text });
        return ctx.db.count("Note", { text });
      },
    }),
    addLater: mutation({
      args: { text: v.string() },
      handler: (ctx, { text }) => ctx.scheduler.runAfter(0, "addNote", { text }),
    }),
    broken: query({
      args: {},
      async handler() {
        throw new TypeError("a bug of the app");
      },
    }),
  },
);

const running: { readonly stop: () => unknown }[] = [];
afterEach(async () => {
  for (const each of running.splice(0).toReversed()) await each.stop();
});

function receiver(port?: number): OtlpReceiver {
  const started = new OtlpReceiver(port);
  running.push(started);
  return started;
}

async function traced(
  endpoint: string,
  env: Readonly<Record<string, string>> = {},
): Promise<TestServer> {
  const server = await startServer(app, {
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_BSP_SCHEDULE_DELAY: "20",
    OTEL_BLRP_SCHEDULE_DELAY: "20",
    OTEL_METRIC_EXPORT_INTERVAL: "100",
    ...env,
  });
  running.push(server);
  return server;
}

function spanOf(
  spans: readonly ReceivedSpan[],
  name: RegExp,
  traceId: string = TRACE_ID,
): ReceivedSpan {
  const found = spans.find((span) => span.traceId === traceId && name.test(span.name));
  if (found === undefined)
    throw new Error(
      `No span is named like ${String(name)}: ${spans.map((span) => span.name).join(", ")}`,
    );
  return found;
}

/** The log lines of the server while `work` runs. */
async function logged(work: () => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  const spy = spyOn(process.stderr, "write").mockImplementation((text: string | Uint8Array) => {
    lines.push(String(text));
    return true;
  });
  try {
    await work();
  } finally {
    spy.mockRestore();
  }
  return lines;
}

test("the caller's trace continues in the job that a mutation schedules", async () => {
  const otlp = receiver();
  const server = await traced(otlp.url);
  const client = new TestClient(server.url, null);
  await client.request("POST", "/api/fn/addLater", { text: "later" }, TRACEPARENT);
  const isThere = (name: RegExp): boolean =>
    otlp.spans.some((span) => span.traceId === TRACE_ID && name.test(span.name));
  await until(() => isThere(/^job$/) && isThere(/^POST/) && isThere(/^function addNote$/));
  await until(() => isThere(/^function addLater$/));
  const { spans } = otlp;
  const job = spanOf(spans, /^job$/);
  const commit = spans.find(({ spanId }) => spanId === job.parentSpanId);
  expect(commit?.name).toBe("commit");
  expect(spanOf(spans, /^function addNote$/).parentSpanId).toBe(job.spanId);
  expect(job.attributes["pylon.queue"]).toBe("functions");
});

test("the caller's trace continues through request, function, commit and statements", async () => {
  const otlp = receiver();
  const server = await traced(otlp.url, {
    OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=staging%20eu",
    OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%20key",
  });
  const answer = await new TestClient(server.url, null).request(
    "POST",
    "/api/fn/addNote?debug=in-the-query",
    { text: SECRET },
    TRACEPARENT,
  );
  expect(answer).toMatchObject({ status: 200, text: "1" });
  await until(() =>
    otlp.spans.some((span) => span.traceId === TRACE_ID && span.name.startsWith("POST")),
  );

  const { spans } = otlp;
  const http = spanOf(spans, /^POST \/api\/fn\/:name$/);
  const fn = spanOf(spans, /^function addNote$/);
  const commit = spanOf(spans, /^commit$/);
  const insert = spanOf(spans, /^INSERT$/);
  expect([http.parentSpanId, fn.parentSpanId, commit.parentSpanId, insert.parentSpanId]).toEqual([
    PARENT_ID,
    http.spanId,
    fn.spanId,
    commit.spanId,
  ]);
  expect(http.kind).toBe(2);
  expect(http.attributes).toMatchObject({
    "http.route": "/api/fn/:name",
    "http.request.method": "POST",
  });
  expect(Number(http.attributes["http.response.status_code"])).toBe(200);
  expect(BigInt(http.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(fn.endTimeUnixNano));
  expect(http.resource).toMatchObject({
    "service.name": "traced",
    "service.instance.id": expect.stringMatching(/^[0-9a-f-]{36}$/),
    "deployment.environment.name": "staging eu",
  });
  expect(otlp.posts[0]?.headers.get("x-key")).toBe("a key");
  const all = otlp.posts.map(({ bytes }) => new TextDecoder().decode(bytes)).join("\n");
  expect(all).not.toContain(SECRET);
  expect(all).not.toContain("in-the-query");
});

type Ask = (headers: Record<string, string>) => Promise<unknown>;

interface Parts {
  readonly root: ReceivedSpan;
  /** The first span whose name matches. */
  readonly part: (name: RegExp) => ReceivedSpan;
}

/** The spans of the `n`th request of a test. */
async function partsOfRequest(otlp: OtlpReceiver, n: number, ask: Ask): Promise<Parts> {
  const traceId = TRACE_ID.slice(0, -1) + String(n);
  await ask({ traceparent: `00-${traceId}-${PARENT_ID}-01` });
  const spans = (): ReceivedSpan[] => otlp.spans.filter((span) => span.traceId === traceId);
  await until(() => spans().some(({ parentSpanId }) => parentSpanId === PARENT_ID));
  const part = (name: RegExp): ReceivedSpan => spanOf(spans(), name, traceId);
  return { root: part(/^POST /), part };
}

test("calls to Redis, S3 and the mail server are spans of their request", async () => {
  const [redis, s3, mail] = await Promise.all([
    RedisServer.start(),
    S3Server.start(),
    startMailServer(),
  ]);
  running.push(redis, s3, mail);
  const otlp = receiver();
  const server = await traced(otlp.url, {
    REDIS_URL: redis.url,
    ...s3.env,
    PYLON_SMTP_URL: mail.url,
    PYLON_EMAIL_FROM: "no-reply@example.com",
  });
  const guest = await TestClient.guest(server.url);
  const partsOf = (n: number, ask: Ask): Promise<Parts> => partsOfRequest(otlp, n, ask);

  const rooms = await partsOf(1, (headers) =>
    guest.request("POST", "/api/rooms/join", { room: "r" }, headers),
  );
  expect(rooms.part(/^redis$/)).toMatchObject({
    parentSpanId: rooms.root.spanId,
    attributes: { "db.system.name": "redis" },
  });

  const form = new FormData();
  form.set("file", new File(["content"], "file.txt"));
  const upload = await partsOf(2, (headers) =>
    fetch(`${server.url}/api/files/upload`, {
      method: "POST",
      headers: { Authorization: `Bearer ${guest.token}`, ...headers },
      body: form,
    }),
  );
  expect(upload.part(/^S3 /)).toMatchObject({
    parentSpanId: upload.root.spanId,
    attributes: { "rpc.service": "S3" },
  });

  const code = await partsOf(3, (headers) =>
    guest.request("POST", "/api/auth/magic/send", { email: "ann@example.com" }, headers),
  );
  // A job sends the mail after the response.
  const ofMail = (): ReceivedSpan[] =>
    otlp.spans.filter(({ traceId }) => traceId === code.root.traceId);
  await until(() => ofMail().some(({ name }) => name === "mail"));
  await until(() => ofMail().some(({ name }) => name === "job"));
  expect(code.part(/^mail$/).parentSpanId).toBe(code.part(/^job$/).spanId);
  expect(code.part(/^job$/).parentSpanId).toBe(code.root.spanId);
  expect(otlp.posts.map(({ bytes }) => new TextDecoder().decode(bytes)).join("\n")).not.toContain(
    "ann@example.com",
  );
});

test("concurrent requests keep their own traces, even if one commit serves both", async () => {
  const otlp = receiver();
  const server = await traced(otlp.url);
  const client = new TestClient(server.url, null);
  const ids = Array.from({ length: 20 }, (_, index) => (index + 1).toString(16).padStart(32, "a"));
  await Promise.all(
    ids.map((id) =>
      client.request(
        "POST",
        "/api/fn/addNote",
        { text: id },
        { traceparent: `00-${id}-${PARENT_ID}-01` },
      ),
    ),
  );
  await until(() =>
    ids.every((id) =>
      otlp.spans.some((span) => span.traceId === id && span.name.startsWith("POST")),
    ),
  );
  for (const id of ids) {
    const own = otlp.spans.filter((span) => span.traceId === id);
    // On Postgres they conflict, and run again.
    const inserts = own.filter(({ attributes }) =>
      String(attributes["db.query.text"]).startsWith('INSERT INTO "Note"'),
    );
    expect([id, inserts.length > 0]).toEqual([id, true]);
    const ends = new Set([PARENT_ID, ...own.map(({ spanId }) => spanId)]);
    expect(own.every(({ parentSpanId }) => ends.has(parentSpanId ?? ""))).toBe(true);
  }
});

test("a delivery to live connections is traced", async () => {
  const otlp = receiver();
  const server = await traced(otlp.url, { OTEL_TRACES_SAMPLER: "always_on" });
  const client = await TestClient.guest(server.url);
  const socket = await client.live(0).ready();
  await client.insert("Note", { text: "one" });
  await socket.heard(1);
  socket.close();
  await until(() => otlp.spans.some(({ name }) => name === "feed delivery"));
  expect(
    Number(
      otlp.spans.find(({ name }) => name === "feed delivery")?.attributes["pylon.connections"],
    ),
  ).toBe(1);
});

test("the sampler decides, not an untrusted caller; off means no spans", async () => {
  const otlp = receiver();
  const server = await traced(otlp.url, {
    OTEL_TRACES_SAMPLER: "always_off",
    OTEL_METRICS_EXPORTER: "none",
  });
  await new TestClient(server.url, null).request(
    "POST",
    "/api/fn/addNote",
    { text: "one" },
    TRACEPARENT,
  );
  await server.stop();
  expect(otlp.spans).toEqual([]);
  expect(otlp.posts.map(({ path }) => path)).not.toContain("/v1/metrics");
  const parentBased = await traced(otlp.url, { OTEL_TRACES_SAMPLER: "parentbased_always_on" });
  await new TestClient(parentBased.url, null).request(
    "POST",
    "/api/fn/addNote",
    { text: "one" },
    { traceparent: `00-${TRACE_ID}-${PARENT_ID}-00` },
  );
  await new TestClient(parentBased.url, null).request(
    "POST",
    "/api/fn/addNote",
    { text: "one" },
    { traceparent: "nonsense" },
  );
  await parentBased.stop();
  expect(otlp.spans.filter(({ traceId }) => traceId === TRACE_ID)).toEqual([]);
  expect(
    otlp.spans
      .filter(({ name }) => name.startsWith("POST"))
      .map(({ parentSpanId }) => parentSpanId ?? ""),
  ).toEqual([""]);
});

test("logs carry the request and trace ids, and metrics match those of a scrape", async () => {
  const otlp = receiver();
  const server = await traced(otlp.url, { PYLON_LOG_FORMAT: "json" });
  const client = new TestClient(server.url, "an-admin-token-for-tests");
  let requestId = "";
  const lines = await logged(async () => {
    const { body, status } = await client.request("POST", "/api/fn/broken", {}, TRACEPARENT);
    expect(status).toBe(500);
    requestId = (body["error"] as { readonly request_id: string }).request_id;
  });
  const line = lines
    .map((text) => JSON.parse(text) as Record<string, unknown>)
    .find(({ message }) => message === "function failed");
  expect(line).toMatchObject({ request_id: requestId, trace_id: TRACE_ID, function: "broken" });
  await until(() => otlp.records.some(({ body }) => body === "function failed"));
  const record = otlp.records.find(({ body }) => body === "function failed");
  expect(record).toMatchObject({
    traceId: TRACE_ID,
    severity: "ERROR",
    attributes: { request_id: requestId },
  });

  await until(() =>
    JSON.stringify(otlp.metrics.get("pylon_function_duration_seconds") ?? {}).includes('"broken"'),
  );
  const { text } = await client.request("GET", "/metrics");
  const scraped = [...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name);
  for (const name of otlp.metrics.keys()) expect(scraped).toContain(name);
  const histogram = otlp.metrics.get("pylon_function_duration_seconds")?.["histogram"] as {
    readonly dataPoints: {
      readonly count: unknown;
      readonly bucketCounts: unknown[];
      readonly explicitBounds: unknown[];
    }[];
  };
  const [point] = histogram.dataPoints;
  expect(point?.bucketCounts.reduce((sum: number, count) => sum + Number(count), 0)).toBe(
    Number(point?.count),
  );
  expect(point?.bucketCounts.length).toBe((point?.explicitBounds.length ?? 0) + 1);
});

test("buffered data is sent when the server stops, also as protobuf", async () => {
  const otlp = receiver();
  const late = {
    OTEL_BSP_SCHEDULE_DELAY: "600000",
    OTEL_BLRP_SCHEDULE_DELAY: "600000",
    OTEL_METRIC_EXPORT_INTERVAL: "3600000",
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
    PYLON_LOG_LEVEL: "info",
  };
  const server = await traced(otlp.url, late);
  await logged(async () => {
    await new TestClient(server.url, null).request(
      "POST",
      "/api/fn/addNote",
      { text: SECRET },
      TRACEPARENT,
    );
    expect(otlp.posts).toEqual([]);
    await server.stop();
  });
  expect(otlp.posts.map(({ path }) => path).toSorted((a, b) => a.localeCompare(b))).toEqual([
    "/v1/logs",
    "/v1/metrics",
    "/v1/traces",
  ]);
  expect(
    otlp.posts.every(({ headers }) => headers.get("content-type") === "application/x-protobuf"),
  ).toBe(true);
  const spans = Buffer.from(otlp.posts.find(({ path }) => path === "/v1/traces")?.bytes ?? []);
  expect(spans.includes(Buffer.from(TRACE_ID, "hex"))).toBe(true);
  expect(spans.includes("function addNote")).toBe(true);
  expect(spans.includes(SECRET)).toBe(false);
});

test("a receiver that is down or rejects data causes one warning, and no failure", async () => {
  const gone = new OtlpReceiver();
  await gone.stop();
  const refusing = receiver();
  refusing.status = 400;
  for (const endpoint of [gone.url, refusing.url]) {
    const server = await traced(endpoint, {
      OTEL_TRACES_SAMPLER: "always_on",
      OTEL_EXPORTER_OTLP_TIMEOUT: "300",
      PYLON_LOG_LEVEL: "warn",
      PYLON_LOG_FORMAT: "json",
      PYLON_DRAIN_SECS: "1",
    });
    const client = new TestClient(server.url, "an-admin-token-for-tests");
    const lines = await logged(async () => {
      for (let index = 0; index < 20; index += 1)
        expect(
          (await client.request("POST", "/api/fn/addNote", { text: String(index) })).status,
        ).toBe(200);
      await until(async () =>
        /pylon_telemetry_items_total\{signal="traces",outcome="dropped"\} [1-9]/.test(
          (await client.request("GET", "/metrics")).text,
        ),
      );
      await server.stop();
    });
    expect(lines.filter((line) => line.includes("telemetry is not accepted"))).toHaveLength(1);
  }
});

test("an unsupported protocol prevents the start, and disabled signals are off", () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318" };
  expect(() => loadConfig({ ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" })).toThrow(
    /OTEL_EXPORTER_OTLP_PROTOCOL.*http\/protobuf or http\/json; grpc is not spoken/,
  );
  expect(() =>
    loadConfig({ ...endpoint, OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "2" }),
  ).toThrow(/OTEL_TRACES_SAMPLER_ARG/);
  expect(() =>
    loadConfig({ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: "key-without-value" }),
  ).toThrow(/OTEL_EXPORTER_OTLP_HEADERS is invalid/);
  expect(loadConfig({ ...endpoint, OTEL_SDK_DISABLED: "true" }).telemetry).toBeNull();
  expect(
    loadConfig({
      ...endpoint,
      OTEL_TRACES_EXPORTER: "none",
      OTEL_METRICS_EXPORTER: "none",
      OTEL_LOGS_EXPORTER: "none",
    }).telemetry,
  ).toBeNull();
  expect(loadConfig({}).telemetry).toBeNull();
});
