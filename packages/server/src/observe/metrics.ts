import type { Metric, Registry } from "prom-client";
import { byLabel, Counter, ReadMetric, type Sample } from "./counter.ts";
import { DurationHistogram } from "./duration-histogram.ts";
import type { EventLoopDelay } from "./event-loop.ts";

/** A label must not be a value that a caller can choose freely. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const STATUS_CLASSES = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

/** Values that the parts of the server count themselves; read when the metrics are scraped. */
export interface LiveFigures {
  readonly version: string;
  /** Start time of the server, in seconds since 1970. */
  readonly startedAtSeconds: number;
  readonly uptimeSeconds: () => number;
  /** Open connections by transport. */
  readonly connections: () => Readonly<Record<string, number>>;
  readonly feed: () => {
    readonly position: number;
    readonly delivered: number;
    readonly slowClients: number;
    readonly resyncs: number;
  };
  readonly store: () => {
    readonly reads: Readonly<Record<"timedOut" | "refused" | "waiting", number>>;
    readonly conflicts: number;
    readonly pool: Readonly<Record<"open" | "idle" | "waiting", number>> | null;
    readonly queued: number | null;
  };
  /** By part: 1 if it works, 0 if it does not. */
  readonly parts: () => Promise<Readonly<Record<string, number>>>;
  readonly redis: () => Readonly<Record<string, number>>;
  readonly storage: () => readonly Sample[];
  readonly mails: () => Readonly<Record<string, number>>;
  readonly rateLimited: () => Readonly<Record<string, number>>;
  readonly signIns: () => Readonly<Record<string, number>>;
  /** Running shards, players in them, and their connections. */
  readonly shards: () => Readonly<Record<"running" | "players" | "connections", number>>;
  /** How late each cron is, in seconds; 0 for one that is on time. */
  readonly lateCrons: () => Promise<Readonly<Record<string, number>>>;
  /** Exported and dropped spans and log records; none without an exporter. */
  readonly telemetry: () => readonly Sample[];
  readonly loop: EventLoopDelay;
}

/**
 * The server's metrics, in Prometheus format. Labels are route patterns and function names, never
 * what a caller sent. See docs/deploy/metrics.md.
 */
export class Metrics {
  readonly #live: () => LiveFigures;
  #registry: Promise<Registry> | undefined;
  readonly #requestSeconds = new DurationHistogram(
    "pylon_http_request_duration_seconds",
    "Time from request to response, by route pattern, method and status class.",
    ["route", "method", "status"],
  );
  readonly #functionSeconds = new DurationHistogram(
    "pylon_function_duration_seconds",
    "Time a function took, by name, type and outcome.",
    ["function", "type", "outcome"],
  );
  readonly #jobSeconds = new DurationHistogram(
    "pylon_job_duration_seconds",
    "Time a job attempt took, by queue and outcome.",
    ["queue", "outcome"],
  );
  readonly #deadJobs = new Counter(
    "pylon_jobs_dead_total",
    "Jobs that failed permanently, as seen by this replica.",
  );
  readonly #commitSeconds = new DurationHistogram(
    "pylon_commit_duration_seconds",
    "Time a write took, from its start until it was durable or failed, by outcome.",
    ["outcome"],
  );
  readonly #feedLag = new DurationHistogram(
    "pylon_feed_lag_seconds",
    "Time from the write of a change to its delivery to the live connections.",
    [],
  );
  readonly #shardTick = new DurationHistogram(
    "pylon_shard_tick_seconds",
    "Time a step of a shard took, including sending the changes, by shard.",
    ["shard"],
  );
  readonly #shardOverruns = new Counter(
    "pylon_shard_overruns_total",
    "Steps of shards that took longer than the step interval, by shard.",
    ["shard"],
  );
  readonly #shardSent = new Counter(
    "pylon_shard_sent_chars_total",
    "Characters of JSON that shards sent to clients, by shard.",
    ["shard"],
  );
  readonly #shardInputs = new Counter(
    "pylon_shard_inputs_total",
    "Inputs to shards, by shard and outcome.",
    ["shard", "outcome"],
  );
  readonly #shardCalls = new Counter(
    "pylon_shard_calls_total",
    "Functions and reads that shards called, by shard and outcome.",
    ["shard", "outcome"],
  );
  readonly #shardLeftOut = new Counter(
    "pylon_shard_steps_left_out_total",
    "Steps that were not sent to slow clients of shards, by shard.",
    ["shard"],
  );
  readonly #shardRestarts = new Counter(
    "pylon_shard_restarts_total",
    "Isolated shards that were restarted because their thread was stuck or crashed, by shard.",
    ["shard", "why"],
  );
  readonly #pulls = new Counter("pylon_sync_pulls_total", "Pulls, by result.", ["outcome"]);
  readonly #pushed = new Counter(
    "pylon_sync_pushed_changes_total",
    "Changes pushed by clients, by outcome.",
    ["outcome"],
  );
  readonly #backups = new Counter("pylon_backups_total", "Automatic backups.");
  readonly #backupFailures = new Counter(
    "pylon_backup_failures_total",
    "Automatic backups that failed.",
  );

  /** @param live called when the metrics are scraped for the first time */
  constructor(live: () => LiveFigures) {
    this.#live = live;
  }

  request(route: string, method: string, status: number, durationMs: number): void {
    const label = METHODS.has(method) ? method : "OTHER";
    this.#requestSeconds.observe(
      [route, label, STATUS_CLASSES[Math.floor(status / 100)] ?? "other"],
      durationMs / 1000,
    );
  }

  functionCall(name: string, type: string, outcome: string, durationMs: number): void {
    this.#functionSeconds.observe([name, type, outcome], durationMs / 1000);
  }

  /** Counts an attempt at a job that has ended. */
  job(queue: string, outcome: string, durationMs: number): void {
    this.#jobSeconds.observe([queue, outcome], durationMs / 1000);
  }

  /** Counts a job that has failed for the last time. */
  jobDied(): void {
    this.#deadJobs.add();
  }

  commit(outcome: "committed" | "refused" | "failed", durationMs: number): void {
    this.#commitSeconds.observe([outcome], durationMs / 1000);
  }

  /** Counts a delivered change. */
  delivered(lagMs: number): void {
    this.#feedLag.observe([], Math.max(0, lagMs) / 1000);
  }

  /** Counts a step of a shard. */
  shardStep(shard: string, durationMs: number, sent: number): void {
    this.#shardTick.observe([shard], durationMs / 1000);
    if (sent > 0) this.#shardSent.add([shard], sent);
  }

  shardOverrun(shard: string): void {
    this.#shardOverruns.add([shard]);
  }

  shardInput(shard: string, outcome: "taken" | "refused"): void {
    this.#shardInputs.add([shard, outcome]);
  }

  shardCall(shard: string, outcome: "ok" | "failed"): void {
    this.#shardCalls.add([shard, outcome]);
  }
  shardRestart(shard: string, why: "stuck" | "crashed"): void {
    this.#shardRestarts.add([shard, why]);
  }

  shardLeftOut(shard: string): void {
    this.#shardLeftOut.add([shard]);
  }

  pull(outcome: "snapshot" | "changes" | "resync"): void {
    this.#pulls.add([outcome]);
  }

  pushed(outcome: "applied" | "deduped" | "refused"): void {
    this.#pushed.add([outcome]);
  }

  /** Counts a backup, or a failed one. */
  backup(outcome: "made" | "failed"): void {
    (outcome === "made" ? this.#backups : this.#backupFailures).add();
  }

  /** Returns the Prometheus text format. */
  async render(): Promise<{ readonly text: string; readonly contentType: string }> {
    const registry = await this.registry();
    return { text: await registry.metrics(), contentType: registry.contentType };
  }

  /** The library is loaded at the first scrape: it would take a third of the start time. */
  registry(): Promise<Registry> {
    return (this.#registry ??= this.#register());
  }

  async #register(): Promise<Registry> {
    const { Registry } = await import("prom-client");
    const registry = new Registry();
    for (const metric of [...this.#own(), ...this.#read()])
      registry.registerMetric(metric as unknown as Metric);
    return registry;
  }

  #own(): (Counter | DurationHistogram)[] {
    return [
      this.#requestSeconds,
      this.#functionSeconds,
      this.#jobSeconds,
      this.#deadJobs,
      this.#commitSeconds,
      this.#feedLag,
      this.#shardTick,
      this.#shardOverruns,
      this.#shardSent,
      this.#shardInputs,
      this.#shardCalls,
      this.#shardLeftOut,
      this.#shardRestarts,
      this.#pulls,
      this.#pushed,
      this.#backups,
      this.#backupFailures,
    ];
  }

  #read(): ReadMetric[] {
    const live = this.#live();
    return [
      ...requestMetrics(this.#requestSeconds),
      ...serverMetrics(live),
      ...feedMetrics(live),
      ...shardMetrics(live),
      ...storeMetrics(live),
      ...serviceMetrics(live),
    ];
  }
}

type Read = ConstructorParameters<typeof ReadMetric>[3];

function gauge(name: string, help: string, read: Read): ReadMetric {
  return new ReadMetric("gauge", name, help, read);
}

function counter(name: string, help: string, read: Read): ReadMetric {
  return new ReadMetric("counter", name, help, read);
}

/** Numbers of requests, which the histogram of their durations has already counted. */
function requestMetrics(seconds: DurationHistogram): ReadMetric[] {
  const isError = (status = ""): boolean => /^[45]/.test(status);
  return [
    counter("pylon_http_requests_total", "Requests, excluding health checks and scrapes.", () =>
      seconds.count(() => true),
    ),
    counter("pylon_http_requests_ok_total", "Responses with a status below 400.", () =>
      seconds.count(({ status }) => !isError(status)),
    ),
    counter("pylon_http_requests_errors_total", "Responses with a status of 400 or above.", () =>
      seconds.count(({ status }) => isError(status)),
    ),
    counter("pylon_http_requests_by_method", "Requests by method.", () =>
      seconds.valuesOf("method").map((method) => ({
        labels: { method },
        value: seconds.count((labels) => labels["method"] === method),
      })),
    ),
  ];
}

/** Metrics of the process and its parts. */
function serverMetrics(live: LiveFigures): ReadMetric[] {
  const { version, startedAtSeconds, uptimeSeconds, parts, loop } = live;
  return [
    gauge("pylon_build_info", "Always 1; the label is the server's version.", () => [
      { labels: { version }, value: 1 },
    ]),
    gauge(
      "pylon_start_time_seconds",
      "Start time of the server, in seconds since 1970.",
      () => startedAtSeconds,
    ),
    gauge("pylon_uptime_seconds", "Seconds since the server started.", uptimeSeconds),
    gauge("pylon_part_up", "1 if a part of /readyz works, otherwise 0.", async () =>
      byLabel("part", await parts()),
    ),
    gauge(
      "pylon_event_loop_delay_seconds",
      "The longest time the event loop was blocked in the last one to two minutes.",
      () => loop.longest,
    ),
    gauge("pylon_memory_resident_bytes", "Resident memory of the process.", () =>
      process.memoryUsage.rss(),
    ),
  ];
}

/** Metrics of live connections and the messages sent to them. */
function feedMetrics({ connections, feed }: LiveFigures): ReadMetric[] {
  return [
    gauge("pylon_live_connections", "Open sockets and event streams, by transport.", () =>
      byLabel("transport", connections()),
    ),
    gauge(
      "pylon_change_log_head",
      "Number of the newest change that this replica has delivered.",
      () => feed().position,
    ),
    counter(
      "pylon_feed_messages_total",
      "Change messages sent to live connections.",
      () => feed().delivered,
    ),
    counter(
      "pylon_feed_slow_clients_total",
      "Live connections closed because they read too slowly.",
      () => feed().slowClients,
    ),
    counter(
      "pylon_feed_resyncs_total",
      "Live connections that had to load a new snapshot.",
      () => feed().resyncs,
    ),
  ];
}

/** Metrics of shards. */
function shardMetrics({ shards }: LiveFigures): ReadMetric[] {
  return [
    gauge("pylon_shards", "Shards on this replica.", () => shards().running),
    gauge("pylon_shard_players", "Players in the shards on this replica.", () => shards().players),
    gauge(
      "pylon_shard_connections",
      "Connections to the shards on this replica.",
      () => shards().connections,
    ),
  ];
}

/** Metrics of the database. */
function storeMetrics({ store }: LiveFigures): ReadMetric[] {
  return [
    counter(
      "pylon_reads_ended_total",
      "Reads for callers that failed: they reached their deadline, or too many " + "waited.",
      () => {
        const { timedOut, refused } = store().reads;
        return byLabel("reason", { timeout: timedOut, overload: refused });
      },
    ),
    gauge(
      "pylon_reads_waiting",
      "Reads for callers that are waiting for a reader.",
      () => store().reads.waiting,
    ),
    counter(
      "pylon_commit_conflicts_total",
      "Transactions that conflicted and were retried. Always 0 on SQLite.",
      () => store().conflicts,
    ),
    gauge(
      "pylon_database_connections",
      "Connections to Postgres: open (including idle), idle, and requests waiting for one. " +
        "Absent on SQLite.",
      () => {
        const { pool } = store();
        return pool === null ? [] : byLabel("state", pool);
      },
    ),
    gauge(
      "pylon_database_write_queue",
      "Writes waiting for SQLite's writer. Absent on Postgres.",
      () => store().queued ?? [],
    ),
  ];
}

/** Metrics of external services, and of rejections. */
function serviceMetrics(live: LiveFigures): ReadMetric[] {
  const { redis, storage, mails, rateLimited, signIns, telemetry, lateCrons } = live;
  return [
    gauge(
      "pylon_cron_late_seconds",
      "How long ago a cron was due without its job having been created, by cron.",
      async () => byLabel("cron", await lateCrons()),
    ),
    counter(
      "pylon_redis_commands_total",
      "Commands to Redis, by outcome; absent without Redis.",
      () => byLabel("outcome", redis()),
    ),
    counter(
      "pylon_storage_requests_total",
      "Requests to S3, by operation and outcome; absent with local files.",
      storage,
    ),
    counter("pylon_mails_total", "Mails, by outcome.", () => byLabel("outcome", mails())),
    counter("pylon_rate_limited_total", "Requests rejected by a rate limit, by limit.", () =>
      byLabel("limit", rateLimited()),
    ),
    counter("pylon_sign_ins_total", "Sign-in attempts, by outcome.", () =>
      byLabel("outcome", signIns()),
    ),
    counter(
      "pylon_telemetry_items_total",
      "Spans and log records for the OTLP exporter, by signal and outcome; absent without one.",
      telemetry,
    ),
  ];
}
