import type { Platform } from "../platform.ts";
import { settledWithin } from "../util/time-limit.ts";

/** How often it is looked whether the ports still answer something, in milliseconds. */
const LOOK_MS = 50;
/** For how long nothing may be answered before the connections are cut, in milliseconds. */
const QUIET_MS = 1_000;

/** What of an open port is needed to close it. */
export type ClosingPort = Pick<
  Bun.Server<unknown>,
  "stop" | "pendingRequests" | "pendingWebSockets"
>;

/**
 * Closes ports in order: no new connections, and what is being answered is finished, up to
 * `withinMs` milliseconds. Then the connections that are left are cut.
 *
 * Bun waits for each connection on which something has begun to come in, also when that is half of
 * a request's head, or more of a body that was refused and answered: such a client may keep it open
 * as long as it likes. So once nothing has been answered for a second, nothing is waited for.
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
