import { systemPlatform, type Platform } from "../../platform.ts";
import { SendQueues } from "../send-queues.ts";

/** Queues with a limit for each reader only. */
export function queuesOf(
  perReader = Infinity,
  platform: Pick<Platform, "after" | "every"> = systemPlatform,
): SendQueues {
  return new SendQueues({ perReader, total: Infinity }, platform);
}
