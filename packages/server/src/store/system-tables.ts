import type { Claims } from "@pylonsync/query";
import { defineTable, flag, int, json, nullable, oneOf, text, time } from "./system-table.ts";

export type { SystemTable } from "./system-table.ts";

/** The progress that a job reports. */
export interface JobProgress {
  /** From 0 to 1. */
  readonly fraction: number;
  readonly note: string | null;
}

/**
 * The state of the batch of jobs after which a job runs: the number of jobs in it, and their
 * outcomes.
 */
export interface JobBatch {
  readonly total: number;
  /** Null until all of them are finished. */
  readonly completed: number | null;
  readonly failed: number | null;
}

/**
 * Pylon's own tables, stored in the same database and accessed through the same Store as the app's
 * entities. They are not in the manifest, and not reachable from outside; their rows are not in the
 * change log.
 */
export const SYSTEM_TABLES = {
  /**
   * `id` is the SHA-256 of the token, so that a copy of the database can't be used to sign in.
   * `publicId` identifies the session to its user.
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
  /**
   * `id` is that of the user. The epoch of the user's sessions: see auth/sessions/user-epochs.ts.
   */
  userEpochs: defineTable(
    "_pylon_user_epochs",
    { epoch: text(), closedUntil: nullable(time()), becomes: nullable(text()), at: time() },
    { indexed: ["at"] },
  ),
  /**
   * `id` is that of the user. The claims that an admin or a function has set for the user, in all
   * of the user's sessions.
   */
  userClaims: defineTable("_pylon_user_claims", { claims: json<Claims>() }),
  /**
   * `id` is that of the user, who has proved to receive mail at this address. For users whose
   * entity has no field `emailVerified`.
   */
  verifiedEmails: defineTable("_pylon_verified_emails", { email: nullable(text()) }),
  /**
   * Accounts of users at other providers. `id` is the hash of the provider and the account's id
   * there, so one account belongs to one user. `tokens` is encrypted.
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
  /** `id` is that of the user. The hashes of passwords. */
  passwords: defineTable("_pylon_passwords", { hash: text() }),
  /**
   * The tokens of links and other secrets for one use. `id` is the hash of the purpose and the
   * token.
   */
  oneTimeTokens: defineTable(
    "_pylon_one_time_tokens",
    { data: json<unknown>(), expiresAt: time() },
    { indexed: ["expiresAt"] },
  ),
  /** Short codes that a person types. `id` is the hash of the purpose and the recipient. */
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
  /** The number of attempts in a time window. `id` is the hash of the action and the caller. */
  attempts: defineTable(
    "_pylon_attempts",
    { count: int(), expiresAt: time() },
    { indexed: ["expiresAt"] },
  ),
  /**
   * `id` is that of the user. `secret` is encrypted; `step` is the latest 30-second period whose
   * code was used.
   */
  totp: defineTable("_pylon_totp", { secret: text(), isOn: flag(), step: int() }),
  /** `id` is the hash of user and code. */
  backupCodes: defineTable("_pylon_backup_codes", { userId: text() }, { indexed: ["userId"] }),
  /** `id` is the hash of the token in the cookie. */
  trustedDevices: defineTable(
    "_pylon_trusted_devices",
    { userId: text(), device: text(), createdAt: time(), expiresAt: time() },
    { indexed: ["userId", "expiresAt"] },
  ),
  /** `id` is that of the credential. */
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
  /** API keys of programs. `hash` is that of the secret part of the key. */
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
  /** Programs that registered themselves to request access to `/mcp` from users. */
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
   * The access that users granted to such programs. It ends with the session in which it was
   * granted, which `sessionPublicId` identifies. `id` is the hash of the code that was exchanged
   * for it.
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
  /** `id` is the hash of the organization and the user. */
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
  /** Events of accounts. */
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
   * The first response to each `op_id`. `id` is a hash of the caller and the op_id; `request` is
   * the hash of the request, null if an older version wrote the row. `answer` is null when it was
   * too large, or made room for others. A counted answer has its `size` in bytes, and as `subject`
   * a hash of the caller.
   */
  ops: defineTable(
    "_pylon_ops",
    {
      answer: nullable(text()),
      request: nullable(text()),
      at: time(),
      subject: nullable(text()),
      size: nullable(int()),
    },
    { indexed: ["at"], sparse: [["subject", "at"]] },
  ),
  /**
   * The metadata of files; data/file-record.ts documents the columns. The content is in the file
   * storage, under the same id.
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
  /**
   * The documents of rows whose texts are merged. `entity` and `rowId` are those of the row.
   * `version` counts the parts; `snapshotVersion` is the last one that the snapshot contains, and
   * `tailVersion` the one before the oldest part that is retained. `state` is a new value at each
   * change, and `texts` the hash of the texts.
   */
  documents: defineTable(
    "_pylon_documents",
    {
      entity: text(),
      rowId: text(),
      version: int(),
      snapshotVersion: int(),
      tailVersion: int(),
      snapshotBytes: int(),
      updateBytes: int(),
      state: text(),
      texts: text(),
    },
    { indexed: ["rowId"] },
  ),
  /**
   * The parts of documents, in Loro's format as base64: a snapshot, and the updates after it and
   * some before it. `version` is that of the document with this part.
   */
  documentParts: defineTable(
    "_pylon_document_parts",
    { documentId: text(), version: int(), isSnapshot: flag(), bytes: text() },
    { indexed: [["documentId", "version"]] },
  ),
  /**
   * One row, `current`: a digest of the fields and read policies of the app that was started last.
   * Changes of it are in the change log, for clients whose cursor has no epoch.
   */
  readRules: defineTable("_pylon_read_rules", { digest: text() }),
  /** The migrations of the tables, with the versions of the app and of Pylon. */
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
   * Fields that are filled in, in batches; `id` consists of the table and the column. `after` is
   * the last row that was processed.
   */
  backfills: defineTable("_pylon_backfills", {
    after: text(),
    filled: int(),
    doneAt: nullable(time()),
  }),
  /**
   * Data migrations that were applied to the database, completely or partly; `id` is the name.
   * `after` is the last row that was processed, `last` the last row that existed at the start.
   */
  dataMigrations: defineTable("_pylon_data_migrations", {
    after: text(),
    last: nullable(text()),
    rows: int(),
    appVersion: text(),
    startedAt: time(),
    doneAt: nullable(time()),
  }),
  /**
   * `id` is the name of a cron. When it is due next, and the schedule from which that was computed.
   */
  crons: defineTable("_pylon_crons", {
    schedule: text(),
    nextAt: nullable(time()),
    lastAt: nullable(time()),
  }),
  /** Runs of workflows; workflows/run-table.ts documents the columns. */
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
  /** The calls of a run's code, each once. `id` consists of the run's id and the position. */
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
  /** Events sent to runs that no wait has consumed yet; their ids are in the order of sending. */
  workflowEvents: defineTable(
    "_pylon_workflow_events",
    { runId: text(), name: text(), data: text(), at: time() },
    { indexed: ["runId"] },
  ),
  /**
   * Shards that are running or were saved. `state` is null until the first save. `owner` is the
   * replica that runs the shard while its lease is valid.
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
   * Replicas that run shards, and the addresses at which others reach them. `id` is new at each
   * start of a replica.
   */
  shardReplicas: defineTable(
    "_pylon_shard_replicas",
    { address: nullable(text()), leaseUntil: time() },
    { indexed: ["leaseUntil"] },
  ),
  /**
   * Recorded runs of shards, whose content is a file with the same id. `players` are those who were
   * in the shard. From `openAt` on, the callers that `access` permits may read the recording; null
   * while the run may still be continued from the end of the recording.
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
   * Players who are waiting for a match or were assigned to one. `queue` is the shard's name with
   * the mode and the region; `players` are the leader and the party. `matchId` identifies a
   * proposed match, which must be accepted before `acceptUntil`, or the shard of a match that has
   * begun.
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
  /** `id` is that of the user. The user's ticket. */
  matchPlayers: defineTable(
    "_pylon_match_players",
    { ticketId: text(), at: time() },
    {
      indexed: ["at"],
    },
  ),
  /**
   * The secrets with which join tokens are signed. `id` is the number of a day: yesterday's is
   * still valid, older ones are not, so that an old copy of the database gives access to no shard.
   */
  shardSecrets: defineTable("_pylon_shard_secrets", { secret: text() }),
  /**
   * The secrets with which links to files are signed. `id` is the number of the day on which the
   * links expire.
   */
  fileSecrets: defineTable("_pylon_file_secrets", { secret: text() }),
  /**
   * `id` is the name of a queue with limits: `takes` is increased at each take, so that one of two
   * concurrent takes is repeated; `startedAt` contains the starts within the time window of its
   * rate limit.
   */
  queues: defineTable("_pylon_queues", { takes: int(), startedAt: json<readonly number[]>() }),
  /** Deferred work that is waiting, running or finished; jobs/job-row.ts documents the columns. */
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
      isFixed: nullable(flag()),
    },
    {
      indexed: [["status", "createdAt", "id"]],
      // Each index is written three times per job: a list of all jobs is merged from one list per
      // state.
      dropped: [["createdAt", "id"]],
      // A job is written three times, and has one or two of these values each time.
      sparse: [
        // Many jobs may have the same due time or creation time: `id` determines their order.
        ["dueAt", "id"],
        // With it Postgres reads only the first job of a lane, even if it underestimates their
        // number.
        ["readyKey", "id"],
        "finishedAt",
        ["batchId", "status"],
      ],
    },
  ),
  /**
   * `id` is the name of a function that has blocked a server, so it runs in its own process as long
   * as `source` is the hash of its handler.
   */
  isolatedFunctions: defineTable("_pylon_isolated_functions", {
    source: text(),
    reason: text(),
    at: time(),
  }),
} as const;
