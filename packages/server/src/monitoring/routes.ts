import { PylonError } from "@pylonsync/protocol";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { Health } from "./health.ts";
import type { Metrics } from "../observe/metrics.ts";

/** `/health`: the process runs; `/readyz`: it can serve; `/metrics`: its metrics. */
export function observeRoutes(health: Health, metrics: Metrics, uptimeMs: () => number): Route[] {
  const alive = (): Answer => json({ status: "ok", uptime_seconds: Math.floor(uptimeMs() / 1000) });

  const ready = async (): Promise<Answer> => {
    const { status, parts } = await health.report();
    if (status !== "unready") return json({ status, parts });
    const message =
      parts["server"] === "stopping" ? "The server is stopping." : "The database does not respond.";
    throw new PylonError("NOT_READY", message, { extra: { parts } });
  };

  return [
    { method: "GET", path: "/health", access: "anyone", scope: "open", quiet: true, handle: alive },
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
