import { expect, test } from "bun:test";
import { ConfigError } from "./config.ts";
import { loadConfig } from "./load-config.ts";

const DEV = { PYLON_DEV_MODE: "1" };

test("an empty environment is a production server on 4321 that no foreign page may call", () => {
  expect(loadConfig({})).toMatchObject({
    dev: false,
    host: "0.0.0.0",
    port: 4321,
    extraPorts: true,
    studio: true,
    database: { kind: "sqlite", path: "pylon.db", isTemporary: false },
    adminToken: null,
    corsOrigins: [],
    rateLimit: { max: 100, windowSeconds: 60 },
    fnRateLimit: { max: 30, windowSeconds: 60 },
    trustProxyHops: 0,
    drainSeconds: 10,
    logFormat: "json",
    queryTimeoutMs: 5_000,
    fnTimeoutMs: 30_000,
    isolation: { mode: "auto", processes: 4, memoryBytes: 268_435_456 },
    jobsConcurrency: 10,
  });
});

test("dev mode opens CORS and lifts the limits", () => {
  expect(loadConfig(DEV)).toMatchObject({
    dev: true,
    corsOrigins: [],
    rateLimit: { max: 100_000 },
    fnRateLimit: { max: 100_000 },
    logFormat: "text",
  });
});

test("set variables override the defaults of dev mode and of a command", () => {
  expect(
    loadConfig(
      { PYLON_RATE_LIMIT_MAX: "7", PYLON_PORT: "80" },
      { ...DEV, PYLON_PORT: "81", PYLON_DB_PATH: "x.db" },
    ),
  ).toMatchObject({
    dev: true,
    rateLimit: { max: 7 },
    port: 80,
    database: { path: "x.db" },
  });
});

test("an empty variable counts as not set", () => {
  expect(loadConfig({ PYLON_PORT: "", PYLON_ADMIN_TOKEN: "", DATABASE_URL: "" })).toMatchObject({
    port: 4321,
    adminToken: null,
  });
});

test.each([
  ["PYLON_PORT", "abc", "a port from 0 to 65532"],
  ["PYLON_PORT", "65533", "a port from 0 to 65532"],
  ["PYLON_PORT", "1e3", "a port from 0 to 65532"],
  ["PYLON_PORT", "-1", "a port from 0 to 65532"],
  ["PYLON_SINGLE_PORT", "maybe", "1 or 0"],
  ["PYLON_DEV_MODE", "2", "1 or 0"],
  ["PYLON_LOG_LEVEL", "loud", "debug, info, warn or error"],
  ["PYLON_CORS_ORIGIN", "app.example.com", "origins such as https://app.example.com"],
  ["PYLON_CORS_ORIGIN", "https://a.example/path", "origins such as https://app.example.com"],
  ["PYLON_FN_CALL_TIMEOUT", "0", "seconds from 1 to 3600"],
  ["PYLON_RATE_LIMIT_WINDOW", "0.5", "seconds from 1"],
])("%s=%s is rejected with the expected format", (name, value, wanted) => {
  expect(() => loadConfig({ [name]: value })).toThrow(ConfigError);
  expect(() => loadConfig({ [name]: value })).toThrow(
    `${name} is ${JSON.stringify(value)}: expected ${wanted}`,
  );
});

test("all problems are reported together", () => {
  expect(() => loadConfig({ PYLON_PORT: "x", PYLON_DRAIN_SECS: "y" })).toThrow(
    /PYLON_PORT is .*PYLON_DRAIN_SECS is /,
  );
});

test("outside dev mode * is not an origin, not even among others", () => {
  expect(() => loadConfig({ PYLON_CORS_ORIGIN: "*" })).toThrow(/PYLON_CORS_ORIGIN is \*/);
  expect(() => loadConfig({ PYLON_CORS_ORIGIN: "https://a.example,*" })).toThrow(ConfigError);
  expect(loadConfig({ ...DEV, PYLON_CORS_ORIGIN: "*" }).corsOrigins).toEqual(["*"]);
});

test("origins are a comma-separated list, and a trailing slash is accepted", () => {
  expect(
    loadConfig({ PYLON_CORS_ORIGIN: "https://a.example, http://localhost:3000/" }).corsOrigins,
  ).toEqual(["https://a.example", "http://localhost:3000"]);
});

test("a short admin token is rejected outside dev mode, and never shown", () => {
  expect(() => loadConfig({ PYLON_ADMIN_TOKEN: "sesame-open" })).toThrow(
    /PYLON_ADMIN_TOKEN has fewer than 16 characters/,
  );
  expect(() => loadConfig({ PYLON_ADMIN_TOKEN: "sesame-open" })).not.toThrow(/sesame-open/);
  expect(loadConfig({ ...DEV, PYLON_ADMIN_TOKEN: "sesame-open" }).adminToken).toBe("sesame-open");
  expect(loadConfig({ PYLON_ADMIN_TOKEN: "0123456789abcdef" }).adminToken).toBe("0123456789abcdef");
});

test("DATABASE_URL replaces SQLite; an invalid one is not shown", () => {
  expect(
    loadConfig({ DATABASE_URL: "postgres://user:canary@db/app", PYLON_DB_PATH: "x.db" }).database,
  ).toEqual({ kind: "postgres", url: "postgres://user:canary@db/app", ca: null, poolMax: 10 });
  for (const url of ["mysql://user:canary@db/app", "canary", "postgres://user:canary@db"]) {
    expect(() => loadConfig({ DATABASE_URL: url })).toThrow(
      /DATABASE_URL is invalid: expected postgres:/,
    );
    expect(() => loadConfig({ DATABASE_URL: url })).not.toThrow(/canary/);
  }
});

test("in-memory servers do not share their database", () => {
  const [a, b] = [
    loadConfig({ PYLON_IN_MEMORY: "1" }).database,
    loadConfig({ PYLON_IN_MEMORY: "1" }).database,
  ];
  expect(a).toMatchObject({ kind: "sqlite", isTemporary: true });
  expect(a).not.toEqual(b);
});

test("Redis is configured by its URL, and an invalid one is rejected without showing it", () => {
  expect(loadConfig({})).toMatchObject({ redisUrl: null });
  for (const url of ["redis://localhost", "rediss://user:p%40ss@cache.example.com:6380/2"])
    expect(loadConfig({ REDIS_URL: url })).toMatchObject({ redisUrl: url });
  for (const url of [
    "localhost:6379",
    "http://localhost",
    "redis://",
    "redis://:%zz@localhost",
    "redis://:secret@localhost/name",
    "redis://:secret@localhost:99999",
  ]) {
    expect(() => loadConfig({ REDIS_URL: url })).toThrow(
      new ConfigError(
        "REDIS_URL is invalid: expected redis://user:password@host:6379/0, or rediss:// " +
          "for TLS.",
      ),
    );
  }
});

test("each invalid variable is reported once, even if nothing would read it", () => {
  const problemsOf = (environment: Record<string, string>): string => {
    try {
      loadConfig(environment);
      return "";
    } catch (error) {
      return error instanceof ConfigError ? error.message : `not a ConfigError: ${String(error)}`;
    }
  };
  expect(problemsOf({ PYLON_PUBLIC_URL: "here" })).toBe(
    'PYLON_PUBLIC_URL is "here": expected an origin such as https://api.example.com.',
  );
  expect(problemsOf({ OTEL_TRACES_SAMPLER: "coin" })).toStartWith(
    'OTEL_TRACES_SAMPLER is "coin": expected parentbased_ratelimited, ',
  );
  expect(problemsOf({ PYLON_HSTS_MAX_AGE: "long" })).toStartWith("PYLON_HSTS_MAX_AGE is");
  expect(problemsOf({ OTEL_TRACES_EXPORTER: "none", OTEL_BSP_SCHEDULE_DELAY: "0" })).toStartWith(
    "OTEL_BSP_SCHEDULE_DELAY is",
  );
});
