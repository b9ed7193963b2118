// The manifest: an app's declarations as plain JSON. `buildManifest` builds it, the server
// validates it, and `codegen` reads it. The keys are sent over the wire and stored in
// `pylon.manifest.json` exactly as declared here.

/** The version of the manifest format. */
export const MANIFEST_VERSION = 1;

/** `id(User)` is a reference to a row of User; `file` is the id of an uploaded file. */
export type ManifestFieldType =
  | "string"
  | "int"
  | "float"
  | "decimal"
  | "bool"
  | "datetime"
  | "richtext"
  | "file"
  | "json"
  | "array"
  | "encrypted"
  | `id(${string})`;

/** How concurrent edits of a field are merged in a collaborative document. */
export type CrdtKind = "lww" | "text" | "counter" | "list" | "movable-list" | "tree";

/** What happens to a row when the row that its field refers to is deleted. */
export type OnDelete = "restrict" | "cascade" | "setNull";

/** The required format of a string field: `bytes` is base64. */
export type TextFormat = "url" | "email" | "date" | "bytes";

/** A value of a `json` field. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

/** The type and limits of the items of an `array` field. */
export type ManifestItem = Pick<
  ManifestField,
  | "type"
  | "enum"
  | "format"
  | "min"
  | "max"
  | "precision"
  | "scale"
  | "pattern"
  | "pattern_flags"
  | "max_bytes"
>;

/** A field of an entity. */
export interface ManifestField {
  readonly name: string;
  readonly type: ManifestFieldType;
  readonly optional: boolean;
  readonly unique: boolean;
  readonly crdt?: CrdtKind;
  /**
   * The value for inserts that omit the field. `now` of a datetime is the time of the write, `uuid`
   * of a string a new UUID.
   */
  readonly default?: Exclude<Json, null>;
  /** A function of the app computes the default: see `FieldCode`. */
  readonly default_by_code?: true;
  /** A function of the app computes the value at each write; callers can't write it. */
  readonly computed?: true;
  /** Set at insert; rejected in an update. */
  readonly readonly?: boolean;
  /** Never sent to callers. */
  readonly hidden?: boolean;
  /** For a string: the allowed values. */
  readonly enum?: readonly string[];
  /** For a string: the required format. */
  readonly format?: TextFormat;
  /** The minimum: of a number its value, of a string its characters, of an array its items. */
  readonly min?: number;
  /** The maximum: of a number its value, of a string its characters, of an array its items. */
  readonly max?: number;
  /** For a decimal: the maximum number of digits in total. */
  readonly precision?: number;
  /** For a decimal: the maximum number of digits after the decimal point. */
  readonly scale?: number;
  /** For an array: the type of its items. */
  readonly items?: ManifestItem;
  /** For json: the validator of its value, built with `v` of `@pylonsync/functions`. */
  readonly schema?: object;
  /** For a string: the source of a regular expression that must match. */
  readonly pattern?: string;
  /** The flags of `pattern`. */
  readonly pattern_flags?: "i" | "u" | "iu";
  /** For an id: the reference is enforced, and this happens when the other row is deleted. */
  readonly on_delete?: OnDelete;
  /** For a datetime: the server sets it at the insert, or at each change. */
  readonly timestamp?: "created" | "updated";
  /** Set to the caller's user id at insert; only an admin may set another value or change it. */
  readonly owner?: boolean;
  /**
   * Previous names, the oldest first. The values are kept, and clients may still use these names.
   */
  readonly renamed_from?: readonly string[];
  /** For a file: the allowed media types, such as `image/*` or `application/pdf`. Default: any. */
  readonly accept?: readonly string[];
  /** For a file or `bytes`: the maximum size, in bytes. */
  readonly max_bytes?: number;
}

/** An index over fields of an entity; `unique` also rejects a second row with the same values. */
export interface ManifestIndex {
  readonly name: string;
  readonly fields: readonly string[];
  readonly unique: boolean;
}

/** A relation to another entity, which queries may include. */
export interface ManifestRelation {
  readonly name: string;
  readonly target: string;
  /**
   * The field that holds the id: on this entity, or, with `many`, on the target. With `through`,
   * the field of the `through` entity that holds this row's id.
   */
  readonly field: string;
  readonly many?: boolean;
  /** The join entity: each of its rows connects a row of this entity with a target row. */
  readonly through?: string;
  /** The field of `through` that holds the target's id. */
  readonly targetField?: string;
}

/** How a search compares words: exactly, or by their stems. */
export type SearchLanguage = "simple" | "english";

/** The search configuration of an entity: searched fields, facets, and sortable fields. */
export interface ManifestSearch {
  readonly text: readonly string[];
  readonly facets: readonly string[];
  readonly sortable: readonly string[];
  /** The weight of a match in a field; default 1. */
  readonly weights?: Readonly<Record<string, number>>;
  /** Default `"simple"`. */
  readonly language?: SearchLanguage;
  /** The last word of a query also matches as a prefix. */
  readonly prefix?: boolean;
  /** Words also match with a typo. */
  readonly typos?: boolean;
}

/** An entity: a type of row. */
export interface ManifestEntity {
  readonly name: string;
  readonly fields: readonly ManifestField[];
  readonly indexes: readonly ManifestIndex[];
  readonly relations?: readonly ManifestRelation[];
  readonly search?: ManifestSearch;
  readonly crdt?: boolean;
  /** Clients sync all of its rows, regardless of their queries. */
  readonly offline?: "all";
  /** Previous names, the oldest first. The rows are kept, and clients may still use these names. */
  readonly renamed_from?: readonly string[];
}

/**
 * A policy: conditions that decide which callers may read, insert, update or delete an entity's
 * rows. `allow` applies to every operation and `allowWrite` to all writes; more specific keys take
 * precedence.
 */
export interface ManifestPolicy {
  readonly name: string;
  readonly entity?: string;
  readonly action?: string;
  /**
   * The policy only restricts what other policies of its entity allow. It does not open an entity
   * that has no other policy.
   */
  readonly restrict?: true;
  readonly allow?: string;
  readonly allowRead?: string;
  readonly allowInsert?: string;
  readonly allowUpdate?: string;
  readonly allowDelete?: string;
  readonly allowWrite?: string;
  /** Policies of single fields, by name. They only restrict what the policies of the rows allow. */
  readonly fields?: Readonly<Record<string, ManifestFieldPolicy>>;
}

/**
 * The policy of one field. `allow` applies to every operation, and `allowWrite` to inserts and
 * updates that set the field; more specific keys take precedence. `allowRead` may only refer to
 * `auth`.
 */
export interface ManifestFieldPolicy {
  readonly allow?: string;
  readonly allowRead?: string;
  readonly allowInsert?: string;
  readonly allowUpdate?: string;
  readonly allowWrite?: string;
}

/** An input of a declared query or action. */
export interface ManifestInput {
  readonly name: string;
  readonly type: string;
  readonly optional?: boolean;
}

/** A declared query or action. */
export interface ManifestCall {
  readonly name: string;
  readonly input?: readonly ManifestInput[];
}

/** A page of the app. */
export interface ManifestRoute {
  readonly path: string;
  readonly mode: "static" | "server" | "live";
  readonly query?: string;
  readonly auth?: "public" | "user";
}

/** Settings of users and sessions. */
export interface ManifestAuth {
  readonly user?: {
    readonly entity?: string;
    readonly expose?: readonly string[];
    readonly hide?: readonly string[];
  };
  /**
   * In seconds. `expiresIn`: the lifetime of a session. `idleTimeout`: how long a session lasts
   * without being used; default: `expiresIn`.
   */
  readonly session?: {
    readonly expiresIn?: number;
    readonly idleTimeout?: number;
    /** Has no effect; accepted because apps of the public system may set it. */
    readonly cookieCache?: unknown;
  };
  readonly trustedOrigins?: readonly string[];
  /** `false`: disables the built-in pages under `/auth`. */
  readonly pages?: boolean;
}

/** A function that is called on a schedule. */
export interface ManifestCron {
  readonly name: string;
  /**
   * A cron expression of five fields (minute, hour, day of the month, month, day of the week), or
   * six with seconds first, with names such as MON and JAN, or `@daily` and the like: `0 8 * *
   * MON-FRI`.
   */
  readonly schedule: string;
  /** The function to call; may be an internal function. */
  readonly function: string;
  readonly args?: Readonly<Record<string, unknown>>;
  /** An IANA time zone name such as `Europe/Berlin`. Default: UTC. */
  readonly timezone?: string;
  /**
   * What happens if no server was running at the scheduled time: `run` (default) calls the function
   * once when a server is back, even if several times were missed; `skip` waits for the next
   * scheduled time.
   */
  readonly missed?: "run" | "skip";
  /**
   * What happens if the previous call is still waiting or running at the scheduled time: `skip`
   * (default) skips this call; `run` calls the function anyway.
   */
  readonly overlap?: "run" | "skip";
}

/** Limits on the jobs of a queue, enforced across all replicas. */
export interface ManifestQueue {
  /** The maximum number of jobs of the queue that run at the same time. */
  readonly concurrency?: number;
  /** Starts at most `max` jobs, including retries, within any `perSeconds` seconds. */
  readonly rate?: { readonly max: number; readonly perSeconds: number };
  /**
   * The maximum number of jobs with the same `key` that run at the same time; jobs without a key
   * share one.
   */
  readonly perKey?: { readonly concurrency: number };
}

/**
 * The permissions of rooms whose names match a pattern. The conditions are policy expressions over
 * `auth.`, other rows by `exists`, and `room.` for the parameters of the room's name. Everything
 * else is denied.
 */
export interface ManifestRoom {
  /**
   * A pattern of literal segments and parameters, separated by slashes, as in `channel/:channelId`.
   */
  readonly name: string;
  /** The default for the conditions that are not set. */
  readonly allow?: string;
  /** Who may join the room and receive its events. */
  readonly allowJoin?: string;
  /** Who may send presence and broadcasts. */
  readonly allowSend?: string;
  /** Who may list the members without joining. */
  readonly allowSee?: string;
}

/** A plugin as listed in the manifest: its name and settings, without its code. */
export interface ManifestPlugin {
  readonly name: string;
  /**
   * The plugin contains the app's own code (entities or hooks) and is not built into the server.
   */
  readonly custom?: true;
  /** `${env.NAME}` in a string is replaced with the environment variable when the server starts. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** An app's declarations, as plain JSON. */
export interface Manifest {
  readonly manifest_version: number;
  readonly name: string;
  readonly version: string;
  readonly entities: readonly ManifestEntity[];
  readonly routes: readonly ManifestRoute[];
  readonly queries: readonly ManifestCall[];
  readonly actions: readonly ManifestCall[];
  readonly policies: readonly ManifestPolicy[];
  readonly auth?: ManifestAuth;
  readonly plugins?: readonly ManifestPlugin[];
  readonly crons?: readonly ManifestCron[];
  /** Limits by queue name. A queue that is not listed has no limits. */
  readonly queues?: Readonly<Record<string, ManifestQueue>>;
  /**
   * The permissions of rooms. Without this key any signed-in user who knows a room's name may join
   * it.
   */
  readonly rooms?: readonly ManifestRoom[];
  /**
   * The access to entities without a policy, outside dev mode: `"public"` opens them; by default
   * they are closed.
   */
  readonly access?: "public";
  /**
   * Receivers of presence and topic messages that are sent without a room. `"tenant"`: all users in
   * the sender's tenant. Default: users who share a room with the sender.
   */
  readonly peerMessages?: "tenant";
}
