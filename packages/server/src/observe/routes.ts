import { PylonError } from "@pylonsync/protocol";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { Store } from "../store/store.ts";
import type { Metrics } from "./metrics.ts";

export interface HealthState {
  /** Milliseconds since the server started. */
  readonly uptimeMs: () => number;
  readonly isStopping: () => boolean;
}

/** `/health` says that the process lives, `/readyz` that it can serve, `/metrics` how it does. */
export function observeRoutes(store: Store, metrics: Metrics, state: HealthState): Route[] {
  const health = (): Answer => json({ status: "ok", uptime_seconds: Math.floor(state.uptimeMs() / 1000) });

  const ready = async (): Promise<Answer> => {
    if (state.isStopping()) throw new PylonError("NOT_READY", "The server is stopping.", { extra: { parts: { server: "stopping" } } });
    try {
      await store.ping();
    } catch {
      throw new PylonError("NOT_READY", "The database does not answer.", { extra: { parts: { database: "down" } } });
    }
    return json({ status: "ready", parts: { server: "up", database: "up" } });
  };

  return [
    { method: "GET", path: "/health", access: "anyone", scope: "open", quiet: true, handle: health },
    { method: "GET", path: "/readyz", access: "anyone", scope: "open", quiet: true, handle: ready },
    {
      method: "GET",
      path: "/metrics",
      access: "admin-or-dev",
      quiet: true,
      handle: async () => {
        const { text, contentType } = await metrics.render();
        return new Response(text, { headers: { "Content-Type": contentType } });
      },
    },
  ];
}
