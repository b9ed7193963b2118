import { isRecord } from "../util/is-record.ts";
import type { Task, TaskAttempt } from "../jobs/task.ts";
import type { AttemptOutcome } from "../jobs/job-changes.ts";
import type { Fetch } from "../auth/oauth/outgoing.ts";
import type { Platform } from "../platform.ts";
import type { Store } from "../store/store.ts";
import type { Receiver } from "./receivers.ts";
import { signedHeaders } from "./signature.ts";

/** With this status, the receiver says that it no longer exists. */
const GONE = 410;

/** The services that deliver messages. */
export interface DeliveryServices {
  readonly store: Store;
  readonly platform: Pick<Platform, "now">;
  readonly receivers: () => ReadonlyMap<string, Receiver>;
  /** Connects to no private network, and follows no redirect. */
  readonly fetch: Fetch;
}

/** A message that waits for its receiver: the arguments of its job. */
export interface Delivery {
  /** The endpoint's name. */
  readonly endpoint: string;
  /** The same for each attempt, so that a receiver can recognize duplicates. */
  readonly id: string;
  /** JSON. */
  readonly message: string;
}

/** Returns the message in the arguments of a job, or null for other arguments. */
export function deliveryOf(args: string): Delivery | null {
  const given: unknown = JSON.parse(args);
  if (!isRecord(given)) return null;
  const { endpoint, id, message } = given;
  if (typeof endpoint !== "string" || typeof id !== "string" || typeof message !== "string")
    return null;
  return { endpoint, id, message };
}

/** Delivers a message at each attempt of its job. */
export function deliveryTask(services: DeliveryServices): Task {
  return async ({ job, finish }: TaskAttempt) => {
    const delivery = deliveryOf(job.args);
    const outcome =
      delivery === null ? failed("The job has no message.", true) : await post(delivery, services);
    await services.store.transact((tx) => finish(tx, outcome));
  };
}

async function post(
  { endpoint, id, message: body }: Delivery,
  { receivers, platform, fetch }: DeliveryServices,
): Promise<AttemptOutcome> {
  const receiver = receivers().get(endpoint);
  // A newer version of the app, which is just being started elsewhere, may have it.
  if (receiver === undefined) return failed(`The webhook endpoint "${endpoint}" does not exist.`);
  const timestamp = Math.floor(platform.now() / 1000);
  const response = await fetch(receiver.url, {
    method: "POST",
    body,
    headers: {
      "Content-Type": "application/json",
      ...(await signedHeaders({ id, timestamp, body }, receiver.keys)),
    },
  });
  if (response.ok) return { kind: "completed" };
  return failed(`The receiver returned status ${response.status}.`, response.status === GONE);
}

function failed(error: string, isFinal = false): AttemptOutcome {
  return { kind: "failed", error, isFinal };
}
