import type { EntityShape, FieldKind } from "@pylonsync/query";

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
  sessions: table(
    "_pylon_sessions",
    {
      userId: "string",
      isGuest: "bool",
      tenantId: "string",
      roles: "string",
      createdAt: "datetime",
      expiresAt: "datetime",
      publicId: "string",
      device: "string",
      seenAt: "datetime",
      isTrustedDevice: "bool",
    },
    ["userId"],
  ),
  /** `id` is the user's: in which epoch its sign-ins are, see auth/user-epochs.ts. */
  userEpochs: table(
    "_pylon_user_epochs",
    { epoch: "string", closedUntil: "datetime", becomes: "string", at: "datetime" },
    ["at"],
  ),
  /**
   * `id` is the user's: that it reads the mail of this address. For users whose entity has no field
   * `emailVerified`.
   */
  verifiedEmails: table("_pylon_verified_emails", { email: "string" }),
  /**
   * Accounts that users have elsewhere. `id` is the hash of the provider and the id there, so one
   * account belongs to one user. `tokens` is sealed.
   */
  accounts: table(
    "_pylon_accounts",
    {
      provider: "string",
      providerId: "string",
      userId: "string",
      email: "string",
      tokens: "string",
      expiresAt: "datetime",
      createdAt: "datetime",
    },
    ["userId"],
  ),
  /** `id` is the user's. For users whose entity has no field `passwordHash`. */
  passwords: table("_pylon_passwords", { hash: "string" }),
  /**
   * Links and other secrets that are used once. `id` is the hash of what for and the token; `data`
   * is JSON.
   */
  oneTimeTokens: table("_pylon_one_time_tokens", { data: "string", expiresAt: "datetime" }, [
    "expiresAt",
  ]),
  /** Short codes that a person types. `id` is the hash of what for and for whom. */
  codes: table(
    "_pylon_codes",
    {
      codeHash: "string",
      data: "string",
      attempts: "int",
      sentAt: "datetime",
      expiresAt: "datetime",
    },
    ["expiresAt"],
  ),
  /** How often something was tried in a window. `id` is the hash of what and by whom. */
  attempts: table("_pylon_attempts", { count: "int", expiresAt: "datetime" }, ["expiresAt"]),
  /** `id` is the user's. `secret` is sealed; `step` is the last 30 seconds whose code was used. */
  totp: table("_pylon_totp", { secret: "string", isOn: "bool", step: "int" }),
  /** `id` is the hash of user and code. */
  backupCodes: table("_pylon_backup_codes", { userId: "string" }, ["userId"]),
  /** `id` is the hash of the cookie's token. */
  trustedDevices: table(
    "_pylon_trusted_devices",
    { userId: "string", device: "string", createdAt: "datetime", expiresAt: "datetime" },
    ["userId", "expiresAt"],
  ),
  /** `id` is the credential's. `transports` is JSON. */
  passkeys: table(
    "_pylon_passkeys",
    {
      userId: "string",
      name: "string",
      publicKey: "string",
      counter: "int",
      transports: "string",
      createdAt: "datetime",
      usedAt: "datetime",
    },
    ["userId"],
  ),
  /** Keys for programs. `hash` is that of the key's secret part; `roles` and `scopes` are JSON. */
  apiKeys: table(
    "_pylon_api_keys",
    {
      userId: "string",
      tenantId: "string",
      roles: "string",
      name: "string",
      hash: "string",
      scopes: "string",
      createdAt: "datetime",
      expiresAt: "datetime",
      usedAt: "datetime",
    },
    ["userId"],
  ),
  organizations: table("_pylon_organizations", { name: "string", createdAt: "datetime" }),
  /** `id` is the hash of organization and user. */
  members: table(
    "_pylon_members",
    { organizationId: "string", userId: "string", role: "string", createdAt: "datetime" },
    ["organizationId", "userId"],
  ),
  /** `tokenHash` is that of the secret in the mail. */
  invitations: table(
    "_pylon_invitations",
    {
      organizationId: "string",
      email: "string",
      role: "string",
      invitedBy: "string",
      tokenHash: "string",
      createdAt: "datetime",
      expiresAt: "datetime",
    },
    ["organizationId", "tokenHash"],
  ),
  /** What happened to accounts. `detail` is JSON. */
  audit: table(
    "_pylon_audit",
    {
      event: "string",
      userId: "string",
      tenantId: "string",
      address: "string",
      device: "string",
      detail: "string",
      at: "datetime",
    },
    ["userId", "tenantId", "at"],
  ),
  /**
   * What an `op_id` answered the first time. `id` is a hash of who asked and the op_id; `request`
   * is the hash of what was asked, null where an older version wrote the row.
   */
  ops: table("_pylon_ops", { answer: "string", request: "string", at: "datetime" }, ["at"]),
  /**
   * What is known of a file; data/file-record.ts says what the columns mean. The content is in the
   * file storage, under the same id.
   */
  files: table(
    "_pylon_files",
    {
      ownerId: "string",
      name: "string",
      contentType: "string",
      size: "int",
      checksum: "string",
      state: "string",
      boundEntity: "string",
      boundField: "string",
      linkedRow: "string",
      uploadKey: "string",
      multipartId: "string",
      createdAt: "datetime",
      orphanedAt: "datetime",
    },
    ["state", "orphanedAt", "ownerId"],
  ),
  /** `id` is the name of a cron: when it is due next, and by which schedule that was computed. */
  crons: table("_pylon_crons", { schedule: "string", nextAt: "datetime", lastAt: "datetime" }),
  /** Work for later, waiting, running or over; jobs/job-row.ts says what the columns mean. */
  jobs: table(
    "_pylon_jobs",
    {
      name: "string",
      args: "string",
      queue: "string",
      priority: "int",
      status: "string",
      attempts: "int",
      maxAttempts: "int",
      timeoutMs: "int",
      createdAt: "datetime",
      startedAt: "datetime",
      finishedAt: "datetime",
      dueAt: "datetime",
      readyKey: "string",
      laneKey: "string",
      lease: "string",
      error: "string",
    },
    ["dueAt", "readyKey", "finishedAt", "status"],
  ),
} as const;

/** A system table: its shape and the fields that have an index. */
export interface SystemTable extends EntityShape {
  readonly indexed: readonly string[];
}

function table(
  name: string,
  fields: Readonly<Record<string, FieldKind>>,
  indexed: readonly string[] = [],
): SystemTable {
  return {
    name,
    indexed,
    fields: new Map<string, FieldKind>([["id", "id"], ...Object.entries(fields)]),
  };
}
