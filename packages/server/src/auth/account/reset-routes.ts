import { PylonError } from "@pylonsync/protocol";
import { TRUE } from "@pylonsync/query";
import type { Committer } from "../../data/commit.ts";
import type { Platform } from "../../platform.ts";
import type { RequestContext } from "../../request/context.ts";
import { isLoopback } from "../../util/network.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import type { Store, Transaction } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import type { ApiKeys } from "../api-keys/api-keys.ts";
import type { Sessions } from "../sessions/sessions.ts";

/**
 * Tables that a reset keeps, because tests do not create their rows: the due times of crons, the
 * state of shards and their replicas, and session epochs, which reject sign-ins in progress.
 */
const KEPT: readonly (keyof typeof SYSTEM_TABLES)[] = [
  "crons",
  "queues",
  "shards",
  "shardReplicas",
  "shardSecrets",
  "isolatedFunctions",
  "userEpochs",
];
const { files: FILES, sessions: SESSIONS, apiKeys: KEYS } = SYSTEM_TABLES;

/** The dependencies of a reset. */
export interface ResetServices {
  readonly store: Store;
  readonly committer: Committer;
  readonly platform: Platform;
  readonly sessions: Sessions;
  readonly apiKeys: ApiKeys;
  /** Whether this is a server in dev mode with a temporary database. */
  readonly isAllowed: boolean;
}

/**
 * `POST /api/__test__/reset` empties the database between two tests: rows, users, sessions, jobs,
 * runs. It is rejected except in dev mode, with an in-memory database, and from this machine.
 */
export function resetRoutes(services: ResetServices): Route[] {
  return [routeTable(services).post("/api/__test__/reset", "anyone", reset, { body: "none" })];
}

async function reset(services: ResetServices, { address }: RequestContext): Promise<Answer> {
  if (!services.isAllowed || !isLoopback(address))
    throw new PylonError("RESET_REFUSED", "This server does not allow a database reset.", {
      hint: "Start it in dev mode with PYLON_IN_MEMORY=1, and reset it from the same machine.",
    });
  await services.store.transact(async (tx) => {
    await services.committer.clear(tx);
    await endAll(tx, services);
    await forgetFiles(tx, services.platform.now());
    const kept = [FILES, ...KEPT.map((name) => SYSTEM_TABLES[name])].map(({ name }) => name);
    for (const { name } of Object.values(SYSTEM_TABLES))
      if (!kept.includes(name)) await tx.deleteWhere(name, TRUE);
  });
  return json({ reset: true });
}

/** Also ends the sessions of guests, who have no row, and of the admin. */
async function endAll(tx: Transaction, { sessions, apiKeys }: ResetServices): Promise<void> {
  const users = [...(await SESSIONS.select(tx)), ...(await KEYS.select(tx))];
  for (const userId of new Set(users.map((one) => one.userId))) {
    await sessions.revokeAll(tx, userId);
    await apiKeys.revokeAll(tx, userId);
  }
}

/** The clean-up of files without a row deletes their contents. */
async function forgetFiles(tx: Transaction, now: number): Promise<void> {
  for (const { id } of await FILES.select(tx))
    await FILES.update(tx, id, { state: "deleting", linkedRow: null, orphanedAt: now });
}
