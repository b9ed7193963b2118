import type { Scrape } from "./prometheus.ts";

/**
 * The numbers that matter first after an alarm. Null: the server does not report it, or there were
 * none.
 */
export interface Overview {
  readonly parts_down: readonly string[];
  /** Since the previous scrape; null for the first one. */
  readonly requests_per_second: number | null;
  readonly requests: number | null;
  /** Responses with a status of at least 500. */
  readonly server_errors: number | null;
  /** Responses with a status of at least 400, including those. */
  readonly errors: number | null;
  readonly request_p50_ms: number | null;
  readonly request_p99_ms: number | null;
  readonly function_p99_ms: number | null;
  readonly commit_p99_ms: number | null;
  readonly connections: Readonly<Record<string, number>>;
  readonly feed_lag_p99_ms: number | null;
  readonly slow_clients: number | null;
  readonly event_loop_delay_ms: number | null;
  readonly memory_mib: number | null;
  readonly uptime_seconds: number | null;
}

/** @param since with it counts and times refer to the time between the two scrapes; in seconds */
export function overviewOf(
  now: Scrape,
  since?: { readonly before: Scrape; readonly seconds: number },
): Overview {
  const before = since?.before;
  const count = (name: string, fits?: Parameters<Scrape["sum"]>[1]): number | null => {
    const [value, earlier] = [now.sum(name, fits), before?.sum(name, fits) ?? 0];
    return value === null ? null : value - earlier;
  };
  const ms = (name: string, share: number): number | null =>
    rounded(now.quantile(name, share, before), 1000);
  const requests = count("pylon_http_requests_total");
  return {
    parts_down: now
      .all("pylon_part_up")
      .filter(({ value }) => value === 0)
      .map(({ labels }) => labels["part"] ?? ""),
    requests_per_second:
      since === undefined || requests === null ? null : rounded(requests / since.seconds, 1),
    requests,
    server_errors:
      count("pylon_http_request_duration_seconds_count", ({ status }) => status === "5xx") ?? 0,
    errors: count("pylon_http_requests_errors_total"),
    request_p50_ms: ms("pylon_http_request_duration_seconds", 0.5),
    request_p99_ms: ms("pylon_http_request_duration_seconds", 0.99),
    function_p99_ms: ms("pylon_function_duration_seconds", 0.99),
    commit_p99_ms: ms("pylon_commit_duration_seconds", 0.99),
    connections: Object.fromEntries(
      now
        .all("pylon_live_connections")
        .map(({ labels, value }) => [labels["transport"] ?? "", value]),
    ),
    feed_lag_p99_ms: ms("pylon_feed_lag_seconds", 0.99),
    slow_clients: count("pylon_feed_slow_clients_total"),
    event_loop_delay_ms: rounded(now.sum("pylon_event_loop_delay_seconds"), 1000),
    memory_mib: rounded(now.sum("pylon_memory_resident_bytes"), 1 / 1024 / 1024),
    uptime_seconds: rounded(now.sum("pylon_uptime_seconds"), 1),
  };
}

/** The overview as lines for people. */
export function overviewLines(overview: Overview, isDelta: boolean): string[] {
  const show = (value: number | null, unit = ""): string =>
    value === null ? "-" : `${value}${unit}`;
  const connections = Object.entries(overview.connections).map(
    ([transport, open]) => `${open} ${transport}`,
  );
  const rows: [string, string][] = [
    [
      "parts down",
      overview.parts_down.length === 0 ? "none" : overview.parts_down.join(", ").toUpperCase(),
    ],
    [
      "requests",
      isDelta ? `${show(overview.requests_per_second)} per second` : show(overview.requests),
    ],
    [
      "errors",
      `${show(overview.errors)}, of which ${show(overview.server_errors)} by the server (5xx)`,
    ],
    [
      "request time",
      `p50 ${show(overview.request_p50_ms, " ms")}, p99 ${show(overview.request_p99_ms, " ms")}`,
    ],
    ["function time", `p99 ${show(overview.function_p99_ms, " ms")}`],
    ["commit time", `p99 ${show(overview.commit_p99_ms, " ms")}`],
    ["connections", connections.length === 0 ? "none" : connections.join(", ")],
    [
      "feed lag",
      `p99 ${show(overview.feed_lag_p99_ms, " ms")}, ${show(overview.slow_clients)} slow clients ` +
        "disconnected",
    ],
    ["event loop", `blocked for at most ${show(overview.event_loop_delay_ms, " ms")}`],
    ["memory", show(overview.memory_mib, " MiB")],
    ["up for", show(overview.uptime_seconds, " s")],
  ];
  return rows.map(([name, value]) => `${name.padEnd(15)}${value}`);
}

function rounded(value: number | null, factor: number): number | null {
  return value === null ? null : Math.round(value * factor * 10) / 10;
}
