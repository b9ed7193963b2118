import type { Claims } from "@pylonsync/query";
import { defineTable, flag, int, json, nullable, oneOf, text, time } from "./system-table.ts";

export type { SystemTable } from "./system-table.ts";

/** How far a job says it is. */
export interface JobProgress {
  /** From 0 to 1. */
  readonly fraction: number;
  readonly note: string | null;
}

/** Of a job that runs after a batch of others: how many are in it, and what became of them. */
export interface JobBatch {
  readonly total: number;
  /** Null as long as not all of them are over. */
  readonly completed: number | null;
  readonly failed: number | null;
}

/**
 * Tables of Pylon's own, kept in the same database and read and written through the same Store as
 * the app's entities. They are not in the manifest, not in the change log and not reachable from
 * outside.
 */
export const SYSTEM_TABLES = {
  /**
   * `id` is the SHA-256 of the token, so that a copy of the database signs nobody in. `publicId`
   * names it to its user.
   */
  sessions: defineTable(
    "_pylon_sessions",
    {
      userId: text(),
      isGuest: flag(),
      tenantId: nullable(text()),
      roles: json<readonly string[]>(),
      createdAt: time(),
      expiresAt: time(),
      publicId: nullable(text()),
      device: nullable(text()),
      seenAt: nullable(time()),
      isTrustedDevice: nullable(flag()),
      claims: nullable(json<Claims>()),
    },
    { indexed: ["userId"] },
  ),
  /** `id` is the user's: in which epoch its sign-ins are, see auth/sessions/user-epochs.ts. */
  userEpochs: defineTable(
    "_pylon_user_epochs",
    { epoch: text(), closedUntil: nullable(time()), becomes: nullable(text()), at: time() },
    { indexed: ["at"] },
  ),
  /** `id` is the user's: what an admin or a function claims of it, in all of its sessions. */
  userClaims: defineTable("_pylon_user_claims", { claims: json<Claims>() }),
  /**
   * `id` is the user's: that it reads the mail of this address. For users whose entity has no field
   * `emailVerified`.
   */
  verifiedEmails: defineTable("_pylon_verified_emails", { email: nullable(text()) }),
  /**
   * Accounts that users have elsewhere. `id` is the hash of the provider and the id there, so one
   * account belongs to one user. `tokens` is sealed.
   */
  accounts: defineTable(
    "_pylon_accounts",
    {
      provider: text(),
      providerId: text(),
      userId: text(),
      email: nullable(text()),
      tokens: nullable(text()),
      expiresAt: nullable(time()),
      createdAt: time(),
    },
    { indexed: ["userId"] },
  ),
  /** `id` is the user's. The hashes of passwords. */
  passwords: defineTable("_pylon_passwords", { hash: text() }),
  /**
   * Links and other secrets that are used once. `id` is the hash of what for and the token.
   */
  oneTimeTokens: defineTable(
    "_pylon_one_time_tokens",
    { data: json<unknown>(), expiresAt: time() },
    { indexed: ["expiresAt"] },
  ),
  /** Short codes that a person types. `id` is the hash of what for and for whom. */
  codes: defineTable(
    "_pylon_codes",
    {
      codeHash: text(),
      data: text(),
      attempts: int(),
      sentAt: time(),
      expiresAt: time(),
    },
    { indexed: ["expiresAt"] },
  ),
  /** How often something was tried in a window. `id` is the hash of what and by whom. */
  attempts: defineTable(
    "_pylon_attempts",
    { count: int(), expiresAt: time() },
    { indexed: ["expiresAt"] },
  ),
  /** `id` is the user's. `secret` is sealed; `step` is the last 30 seconds whose code was used. */
  totp: defineTable("_pylon_totp", { secret: text(), isOn: flag(), step: int() }),
  /** `id` is the hash of user and code. */
  backupCodes: defineTable("_pylon_backup_codes", { userId: text() }, { indexed: ["userId"] }),
  /** `id` is the hash of the cookie's token. */
  trustedDevices: defineTable(
    "_pylon_trusted_devices",
    { userId: text(), device: text(), createdAt: time(), expiresAt: time() },
    { indexed: ["userId", "expiresAt"] },
  ),
  /** `id` is the credential's. */
  passkeys: defineTable(
    "_pylon_passkeys",
    {
      userId: text(),
      name: text(),
      publicKey: text(),
      counter: int(),
      transports: json<string[]>(),
      createdAt: time(),
      usedAt: nullable(time()),
    },
    { indexed: ["userId"] },
  ),
  /** Keys for programs. `hash` is that of the key's secret part. */
  apiKeys: defineTable(
    "_pylon_api_keys",
    {
      userId: text(),
      tenantId: nullable(text()),
      roles: json<readonly string[]>(),
      name: text(),
      hash: text(),
      scopes: json<readonly string[]>(),
      createdAt: time(),
      expiresAt: nullable(time()),
      usedAt: nullable(time()),
      claims: nullable(json<Claims>()),
    },
    { indexed: ["userId"] },
  ),
  /** Programs that registered themselves to ask users for access to `/mcp`. */
  mcpClients: defineTable(
    "_pylon_mcp_clients",
    {
      name: text(),
      redirectUris: json<readonly string[]>(),
      createdAt: time(),
      expiresAt: time(),
    },
    { indexed: ["expiresAt"] },
  ),
  /**
   * The access that users gave to such programs. It ends with the session it was given in, which
   * `sessionPublicId` names. `id` is the hash of the code that it was exchanged for.
   */
  mcpGrants: defineTable(
    "_pylon_mcp_grants",
    {
      userId: text(),
      sessionPublicId: text(),
      clientId: text(),
      clientName: text(),
      scopes: json<readonly string[]>(),
      resource: text(),
      accessHash: text(),
      accessExpiresAt: time(),
      familyHash: text(),
      refreshHash: text(),
      createdAt: time(),
      usedAt: nullable(time()),
      expiresAt: time(),
    },
    { indexed: ["userId", "expiresAt"] },
  ),
  organizations: defineTable("_pylon_organizations", { name: text(), createdAt: time() }),
  /** `id` is the hash of organization and user. */
  members: defineTable(
    "_pylon_members",
    { organizationId: text(), userId: text(), role: text(), createdAt: time() },
    { indexed: ["organizationId", "userId"] },
  ),
  /** `tokenHash` is that of the secret in the mail. */
  invitations: defineTable(
    "_pylon_invitations",
    {
      organizationId: text(),
      email: text(),
      role: text(),
      invitedBy: text(),
      tokenHash: text(),
      createdAt: time(),
      expiresAt: time(),
    },
    { indexed: ["organizationId", "tokenHash"] },
  ),
  /** What happened to accounts. */
  audit: defineTable(
    "_pylon_audit",
    {
      event: text(),
      userId: nullable(text()),
      tenantId: nullable(text()),
      address: text(),
      device: text(),
      detail: json<Readonly<Record<string, string>>>(),
      at: time(),
    },
    { indexed: ["userId", "tenantId", "at"] },
  ),
  /**
   * What an `op_id` answered the first time. `id` is a hash of the caller and the op_id; `request`
   * is the hash of what was asked, null where an older version wrote the row.
   */
  ops: defineTable(
    "_pylon_ops",
    { answer: nullable(text()), request: nullable(text()), at: time() },
    { indexed: ["at"] },
  ),
  /**
   * What is known of a file; data/file-record.ts says what the columns mean. The content is in the
   * file storage, under the same id.
   */
  files: defineTable(
    "_pylon_files",
    {
      ownerId: nullable(text()),
      name: text(),
      contentType: text(),
      size: int(),
      checksum: nullable(text()),
      state: oneOf("pending", "ready", "deleting"),
      boundEntity: nullable(text()),
      boundField: nullable(text()),
      linkedRow: nullable(text()),
      uploadKey: nullable(text()),
      multipartId: nullable(text()),
      uploadOffset: nullable(int()),
      uploadParts: nullable(json<readonly string[]>()),
      uploadClaim: nullable(text()),
      createdAt: time(),
      orphanedAt: nullable(time()),
    },
    { indexed: ["state", "orphanedAt", "ownerId"] },
  ),
  /** What was done to the tables, by which version of the app and of Pylon. */
  migrations: defineTable(
    "_pylon_migrations",
    {
      at: time(),
      tookMs: int(),
      appVersion: text(),
      pylonVersion: text(),
      steps: json<readonly string[]>(),
    },
    { indexed: ["at"] },
  ),
  /**
   * Fields whose rows get a value, some at a time; `id` is the table and the column. `after` is the
   * last row that was looked at.
   */
  backfills: defineTable("_pylon_backfills", {
    after: text(),
    filled: int(),
    doneAt: nullable(time()),
  }),
  /**
   * Data migrations that the database has had, or has in part; `id` is the name. `after` is the
   * last row that it has gone through, `last` the last one that there was when it began.
   */
  dataMigrations: defineTable("_pylon_data_migrations", {
    after: text(),
    last: nullable(text()),
    rows: int(),
    appVersion: text(),
    startedAt: time(),
    doneAt: nullable(time()),
  }),
  /** `id` is the name of a cron: when it is due next, and by which schedule that was computed. */
  crons: defineTable("_pylon_crons", {
    schedule: text(),
    nextAt: nullable(time()),
    lastAt: nullable(time()),
  }),
  /** Runs of workflows; workflows/run-table.ts says what the columns mean. */
  workflowRuns: defineTable(
    "_pylon_workflow_runs",
    {
      name: text(),
      version: int(),
      input: text(),
      status: oneOf(
        "pending",
        "running",
        "sleeping",
        "waiting",
        "completed",
        "failed",
        "cancelled",
      ),
      output: nullable(text()),
      error: nullable(text()),
      failedStep: nullable(int()),
      createdAt: time(),
      startedAt: nullable(time()),
      finishedAt: nullable(time()),
      wakeAt: nullable(time()),
      waitingFor: nullable(text()),
      jobId: text(),
      signals: int(),
      maxRetries: int(),
      parentId: nullable(text()),
      generation: nullable(int()),
      state: nullable(text()),
      startedBy: nullable(text()),
    },
    { indexed: ["status", "createdAt", "finishedAt", "parentId"] },
  ),
  /** What the code of a run has called, each once. `id` is the run's and the position. */
  workflowSteps: defineTable(
    "_pylon_workflow_steps",
    {
      runId: text(),
      position: int(),
      kind: oneOf("step", "mutation", "sleep", "event", "child"),
      name: text(),
      status: oneOf("waiting", "retrying", "completed", "failed"),
      seq: nullable(int()),
      output: nullable(text()),
      error: nullable(text()),
      attempts: int(),
      startedAt: time(),
      endedAt: nullable(time()),
      wakeAt: nullable(time()),
      childId: nullable(text()),
    },
    { indexed: ["runId"] },
  ),
  /** What was sent to runs and not yet waited for; their ids are in the order of sending. */
  workflowEvents: defineTable(
    "_pylon_workflow_events",
    { runId: text(), name: text(), data: text(), at: time() },
    { indexed: ["runId"] },
  ),
  /**
   * Shards that run or were saved. `state` is null until the first save. `owner` is the replica
   * that runs it, while its lease lasts.
   */
  shards: defineTable(
    "_pylon_shards",
    {
      state: nullable(text()),
      tick: int(),
      savedAt: time(),
      owner: nullable(text()),
      leaseUntil: nullable(time()),
    },
    { indexed: ["savedAt"] },
  ),
  /**
   * Replicas that run shards, and where others reach them. `id` is new with each start of one.
   */
  shardReplicas: defineTable(
    "_pylon_shard_replicas",
    { address: nullable(text()), leaseUntil: time() },
    { indexed: ["leaseUntil"] },
  ),
  /**
   * Recorded runs of shards, whose content is a file of the same id. `players` are those who were
   * in the shard. From `openAt` on it is open to those whom `access` names; null while the run may
   * go on from where the recording ends.
   */
  shardReplays: defineTable(
    "_pylon_shard_replays",
    {
      shard: text(),
      startedAt: time(),
      endedAt: time(),
      expiresAt: time(),
      fromTick: int(),
      toTick: int(),
      tickRate: int(),
      code: nullable(text()),
      bytes: int(),
      access: oneOf("admin", "players", "everyone"),
      openAt: nullable(time()),
      players: json<readonly string[]>(),
    },
    { indexed: [["shard", "startedAt"], "startedAt", "expiresAt"] },
  ),
  /**
   * Players who wait for a match, or were given one. `queue` is the shard's name with mode and
   * region; `players` are the leader and the party. `matchId` names a match that is to be accepted
   * until `acceptUntil`, and is the shard of one that has begun.
   */
  matchTickets: defineTable(
    "_pylon_match_tickets",
    {
      queue: text(),
      status: oneOf("gathering", "waiting", "proposed", "matched", "cancelled", "expired"),
      size: int(),
      players: json<readonly string[]>(),
      accepted: json<readonly string[]>(),
      rating: int(),
      createdAt: time(),
      expiresAt: time(),
      matchId: nullable(text()),
      acceptUntil: nullable(time()),
    },
    { indexed: [["status", "queue", "createdAt"], "expiresAt", "matchId"] },
  ),
  /** `id` is the user's: which ticket is theirs. */
  matchPlayers: defineTable(
    "_pylon_match_players",
    { ticketId: text(), at: time() },
    {
      indexed: ["at"],
    },
  ),
  /**
   * What join tokens are signed with. `id` is the number of a day: yesterday's is still valid, so
   * that an old copy of the database opens no shard.
   */
  shardSecrets: defineTable("_pylon_shard_secrets", { secret: text() }),
  /** What links to files are signed with. `id` is the number of the day on which they expire. */
  fileSecrets: defineTable("_pylon_file_secrets", { secret: text() }),
  /**
   * `id` is the name of a queue with limits: `takes` grows with each take, so that of two takes at
   * the same time one is repeated; `startedAt` are the starts within the window of its rate.
   */
  queues: defineTable("_pylon_queues", { takes: int(), startedAt: json<readonly number[]>() }),
  /** Work for later, waiting, running or over; jobs/job-row.ts says what the columns mean. */
  jobs: defineTable(
    "_pylon_jobs",
    {
      name: text(),
      args: text(),
      queue: text(),
      priority: int(),
      status: text(),
      attempts: int(),
      maxAttempts: int(),
      timeoutMs: nullable(int()),
      createdAt: time(),
      startedAt: nullable(time()),
      finishedAt: nullable(time()),
      dueAt: nullable(time()),
      readyKey: nullable(text()),
      laneKey: nullable(text()),
      lease: nullable(text()),
      error: nullable(text()),
      progress: nullable(json<JobProgress>()),
      batchId: nullable(text()),
      batch: nullable(json<JobBatch>()),
      trace: nullable(text()),
      startedBy: nullable(text()),
    },
    {
      indexed: [["status", "createdAt", "id"]],
      // Each index is written three times for a job: a list of all is made of one of each state.
      dropped: [["createdAt", "id"]],
      // A job is written three times, and each time it has one or two of these values.
      sparse: [
        // Many may be due, or were made, at the same time: `id` says which is first.
        ["dueAt", "id"],
        // With it Postgres reads the first of a lane alone, however few it believes there are.
        ["readyKey", "id"],
        "finishedAt",
        ["batchId", "status"],
      ],
    },
  ),
  /**
   * `id` is a function's name: it held up a server, so it runs in a process of its own for as long
   * as `source` is the hash of its handler.
   */
  isolatedFunctions: defineTable("_pylon_isolated_functions", {
    source: text(),
    reason: text(),
    at: time(),
  }),
} as const;
