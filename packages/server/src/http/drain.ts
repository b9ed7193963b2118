import type { Platform } from "../platform.ts";
import { settledWithin } from "../util/time-limit.ts";

/** How often the ports are checked for pending responses, in milliseconds. */
const LOOK_MS = 50;
/** The time without pending responses after which the connections are closed, in milliseconds. */
const QUIET_MS = 1_000;

/** The part of an open port that is needed to close it. */
export type ClosingPort = Pick<
  Bun.Server<unknown>,
  "stop" | "pendingRequests" | "pendingWebSockets"
>;

/**
 * Closes ports gracefully: they accept no new connections, and pending responses are completed, up
 * to `withinMs` milliseconds. Then the remaining connections are closed.
 *
 * Bun waits for each connection on which some data of a request has arrived, even if that is half
 * of a request's head, or more of a body that was rejected and responded to: such a client could
 * keep it open forever. So once there has been no pending response for a second, it stops waiting.
 */
export async function drain(
  ports: readonly ClosingPort[],
  platform: Pick<Platform, "monotonic" | "after" | "every">,
  withinMs: number,
): Promise<void> {
  const closed = Promise.all(ports.map((port) => port.stop()));
  const { promise: quiet, resolve } = Promise.withResolvers<void>();
  let busyAt = platform.monotonic();
  const timer = platform.every(LOOK_MS, () => {
    const now = platform.monotonic();
    if (ports.some((port) => port.pendingRequests > 0 || port.pendingWebSockets > 0)) busyAt = now;
    else if (now - busyAt >= QUIET_MS) resolve();
  });
  await settledWithin(platform, Promise.race([closed, quiet]), withinMs);
  timer.cancel();
  await Promise.all(ports.map((port) => port.stop(true)));
}
