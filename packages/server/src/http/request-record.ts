import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Peer } from "./caller-identity.ts";

/** Counts each request in the metrics, and logs server errors and, if enabled, all requests. */
export class RequestRecord {
  readonly #options: {
    readonly metrics: Metrics;
    readonly log: Log;
    readonly accessLog: boolean;
  };

  /** @param options.accessLog whether all requests are logged, with the clients' addresses */
  constructor(options: {
    readonly metrics: Metrics;
    readonly log: Log;
    readonly accessLog: boolean;
  }) {
    this.#options = options;
  }

  /** @param name the request's label in the metrics and the log */
  add(
    name: string,
    { method }: Pick<Request, "method">,
    status: number,
    durationMs: number,
    address: Peer,
  ): void {
    const { metrics, log, accessLog } = this.#options;
    metrics.request(name, method, status, durationMs);
    if (status < 500 && !accessLog && !log.isOn("debug")) return;
    const fields = {
      route: name,
      method,
      status,
      ms: Math.round(durationMs * 10) / 10,
      ...(accessLog ? { address: address() } : {}),
    };
    if (status >= 500) log.warn("request", fields);
    else if (accessLog) log.info("request", fields);
    else log.debug("request", fields);
  }
}
