// The manifest: what an app declares, as plain JSON. `buildManifest` builds it, the server
// validates it, `codegen` reads it. Keys are on the wire and in `pylon.manifest.json` as they
// stand here.

/** The version of the manifest's format. */
export const MANIFEST_VERSION = 1;

/** `id(User)` is a reference to a row of User; `file` is the id of an uploaded file. */
export type ManifestFieldType =
  | "string"
  | "int"
  | "float"
  | "bool"
  | "datetime"
  | "richtext"
  | "file"
  | "json"
  | "array"
  | `id(${string})`;

/** How concurrent edits of a field are merged in a collaborative document. */
export type CrdtKind = "lww" | "text" | "counter" | "list" | "movable-list" | "tree";

/** What becomes of a row when the row that its field refers to is deleted. */
export type OnDelete = "restrict" | "cascade" | "setNull";

/** What the text of a string field must be: `bytes` is base64. */
export type TextFormat = "url" | "email" | "date" | "bytes";

/** A value of a `json` field. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

/** What each item of an `array` field is. */
export type ManifestItem = Pick<
  ManifestField,
  "type" | "enum" | "format" | "min" | "max" | "pattern" | "pattern_flags" | "max_bytes"
>;

/** A field of an entity. */
export interface ManifestField {
  readonly name: string;
  readonly type: ManifestFieldType;
  readonly optional: boolean;
  readonly unique: boolean;
  readonly crdt?: CrdtKind;
  /**
   * Taken when an insert does not name the field. `now` of a datetime is the time of the write,
   * `uuid` of a string a new UUID.
   */
  readonly default?: Exclude<Json, null>;
  /** Set at insert, refused in an update. */
  readonly readonly?: boolean;
  /** Never leaves the server for callers. */
  readonly hidden?: boolean;
  /** Of a string: the values that it may have. */
  readonly enum?: readonly string[];
  /** Of a string. */
  readonly format?: TextFormat;
  /** The least number, or the least count of a text's characters or an array's items. */
  readonly min?: number;
  /** The largest number, or the largest count of a text's characters or an array's items. */
  readonly max?: number;
  /** Of an array. */
  readonly items?: ManifestItem;
  /** Of json: the validator of its value, as `v` of `@pylonsync/functions` makes it. */
  readonly schema?: object;
  /** Of a string: the source of a regular expression that finds a match in it. */
  readonly pattern?: string;
  /** Of the pattern, as of a regular expression. */
  readonly pattern_flags?: "i" | "u" | "iu";
  /** Of an id: it is checked, and this becomes of the row when the other one is deleted. */
  readonly on_delete?: OnDelete;
  /** Of a datetime: the server sets it at the insert, or at each change. */
  readonly timestamp?: "created" | "updated";
  /** Stamped with the caller's user id at insert; only an admin sets or changes it. */
  readonly owner?: boolean;
  /**
   * Of a file: the media types that may be stored, such as `image/*` or `application/pdf`. Absent:
   * any.
   */
  readonly accept?: readonly string[];
  /** Of a file, or of `bytes`: the largest size, in bytes. */
  readonly max_bytes?: number;
}

/**
 * An index over fields of an entity; `unique` also refuses a second row with the same values.
 */
export interface ManifestIndex {
  readonly name: string;
  readonly fields: readonly string[];
  readonly unique: boolean;
}

/** A relation to another entity, which queries may include. */
export interface ManifestRelation {
  readonly name: string;
  readonly target: string;
  /** The field that holds the id: on this entity, or on the target when `many`. */
  readonly field: string;
  readonly many?: boolean;
}

/** The fields of an entity that search uses: full text, facet counts, orders. */
export interface ManifestSearch {
  readonly text: readonly string[];
  readonly facets: readonly string[];
  readonly sortable: readonly string[];
}

/** An entity: a kind of row. */
export interface ManifestEntity {
  readonly name: string;
  readonly fields: readonly ManifestField[];
  readonly indexes: readonly ManifestIndex[];
  readonly relations?: readonly ManifestRelation[];
  readonly search?: ManifestSearch;
  readonly crdt?: boolean;
}

/**
 * A policy: conditions that decide who may read, insert, update or delete an entity's rows.
 * `allow` is for every operation, `allowWrite` for all writes; the narrower keys win.
 */
export interface ManifestPolicy {
  readonly name: string;
  readonly entity?: string;
  readonly action?: string;
  readonly allow?: string;
  readonly allowRead?: string;
  readonly allowInsert?: string;
  readonly allowUpdate?: string;
  readonly allowDelete?: string;
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
   * Seconds. `expiresIn`: how long a session lives. `idleTimeout`: how long it lives without being
   * used; absent: as long as `expiresIn`.
   */
  readonly session?: {
    readonly expiresIn?: number;
    readonly idleTimeout?: number;
    /** Without effect; apps of the public system may have it. */
    readonly cookieCache?: unknown;
  };
  readonly trustedOrigins?: readonly string[];
  /** `false`: the app has pages of its own, and the server serves none under `/auth`. */
  readonly pages?: boolean;
}

/** A function that is called at times that are declared. */
export interface ManifestCron {
  readonly name: string;
  /**
   * Five fields (minute, hour, day of the month, month, day of the week) or six with seconds in
   * front, names such as MON and JAN, and `@daily` and the like: `0 8 * * MON-FRI`.
   */
  readonly schedule: string;
  /** The function that is called, an internal one too. */
  readonly function: string;
  readonly args?: Readonly<Record<string, unknown>>;
  /** An IANA name such as `Europe/Berlin`. Default UTC. */
  readonly timezone?: string;
  /**
   * What happens when no server ran at the time: `run` (default) calls it once when one is back,
   * however many times were missed; `skip` waits for the next time.
   */
  readonly missed?: "run" | "skip";
  /**
   * What happens when the time comes while the last call still waits or runs: `skip` (default)
   * leaves this time out; `run` calls it all the same.
   */
  readonly overlap?: "run" | "skip";
}

/** How many jobs of a queue run at a time, on all replicas together. */
export interface ManifestQueue {
  /** Most jobs of the queue that run at the same time. */
  readonly concurrency?: number;
  /** Starts at most `max` jobs, retries counted, within any `perSeconds` seconds. */
  readonly rate?: { readonly max: number; readonly perSeconds: number };
  /** Most jobs with the same `key` that run at the same time; those without a key are one. */
  readonly perKey?: { readonly concurrency: number };
}

/**
 * Who may do what in rooms with names of one form. The conditions are those of policies, over
 * `auth.`, other rows by `exists`, and `room.` for the parts of the room's name. What is not said
 * is not allowed.
 */
export interface ManifestRoom {
  /** Texts and parts between slashes, as in `channel/:channelId`. */
  readonly name: string;
  /** Speaks for all that the others say nothing of. */
  readonly allow?: string;
  /** Who may be in the room, and with that hears what happens there. */
  readonly allowJoin?: string;
  /** Who may send presence and broadcasts. */
  readonly allowSend?: string;
  /** Who may ask who is there without being in it. */
  readonly allowSee?: string;
}

/** A plugin as the manifest lists it: its name and settings, without its code. */
export interface ManifestPlugin {
  readonly name: string;
  /** It is the app's own code (entities or hooks), not one of the server's plugins. */
  readonly custom?: true;
  /** `${env.NAME}` in a string is resolved when the server starts. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** What an app declares, as plain JSON. */
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
  /** By the queue's name. A queue that is not named here has no limits. */
  readonly queues?: Readonly<Record<string, ManifestQueue>>;
  /** Without this key whoever is signed in and knows a room's name may join it. */
  readonly rooms?: readonly ManifestRoom[];
  /**
   * What happens outside dev mode to an entity that no policy names: `"public"` opens it; without
   * this key it is closed.
   */
  readonly access?: "public";
  /**
   * Who hears the presence and the topics that users send without a room: `"tenant"`: everyone in
   * their tenant; without this key those who are in a room with them.
   */
  readonly peerMessages?: "tenant";
}
