import { MAX_QUEUE_RATE } from "@pylonsync/protocol";
import * as v from "valibot";

const Named = { name: v.string() };
const Text = v.optional(v.string());
const Count = v.pipe(v.number(), v.integer(), v.minValue(1));
const QueueName = v.pipe(
  v.string(),
  v.regex(
    /^[\w.-]{1,64}$/,
    "The name of a queue must have 1 to 64 letters, digits, dots, - and _.",
  ),
);
const Input = v.object({ ...Named, type: v.string(), optional: v.optional(v.boolean()) });
const Call = v.object({ ...Named, input: v.optional(v.array(Input)) });

const Rules = {
  type: v.string(),
  enum: v.optional(v.array(v.string())),
  format: v.optional(v.picklist(["url", "email", "date", "bytes"])),
  min: v.optional(v.number()),
  max: v.optional(v.number()),
  precision: v.optional(v.number()),
  scale: v.optional(v.number()),
  pattern: v.optional(v.string()),
  pattern_flags: v.optional(v.picklist(["i", "u", "iu"])),
  max_bytes: v.optional(v.number()),
};

/** An object or a list with any contents. */
const Nested = v.custom<object>((value) => typeof value === "object" && value !== null);

const OldNames = v.optional(v.array(v.string()));

const FieldShape = v.object({
  ...Named,
  ...Rules,
  optional: v.optional(v.boolean(), false),
  unique: v.optional(v.boolean(), false),
  crdt: v.optional(v.picklist(["lww", "text", "counter", "list", "movable-list", "tree"])),
  default: v.optional(v.union([v.string(), v.number(), v.boolean(), Nested])),
  default_by_code: v.optional(v.literal(true)),
  computed: v.optional(v.literal(true)),
  readonly: v.optional(v.boolean()),
  owner: v.optional(v.boolean()),
  hidden: v.optional(v.boolean()),
  items: v.optional(v.object(Rules)),
  schema: v.optional(Nested),
  on_delete: v.optional(v.picklist(["restrict", "cascade", "setNull"])),
  timestamp: v.optional(v.picklist(["created", "updated"])),
  accept: v.optional(v.array(v.string())),
  renamed_from: OldNames,
});

/** The shape of a manifest, before its names and types are checked for consistency. */
export const ManifestShape = v.object({
  manifest_version: v.number(),
  name: v.string(),
  version: v.string(),
  entities: v.array(
    v.object({
      ...Named,
      fields: v.array(FieldShape),
      indexes: v.optional(
        v.array(
          v.object({
            ...Named,
            fields: v.array(v.string()),
            unique: v.optional(v.boolean(), false),
          }),
        ),
        [],
      ),
      relations: v.optional(
        v.array(
          v.object({
            ...Named,
            target: v.string(),
            field: v.string(),
            many: v.optional(v.boolean()),
            through: v.optional(v.string()),
            targetField: v.optional(v.string()),
          }),
        ),
      ),
      search: v.optional(
        v.object({
          text: v.optional(v.array(v.string()), []),
          facets: v.optional(v.array(v.string()), []),
          sortable: v.optional(v.array(v.string()), []),
          weights: v.optional(v.record(v.string(), v.number())),
          language: v.optional(v.picklist(["simple", "english"])),
          prefix: v.optional(v.boolean()),
          typos: v.optional(v.boolean()),
        }),
      ),
      crdt: v.optional(v.boolean()),
      offline: v.optional(v.literal("all")),
      renamed_from: OldNames,
    }),
  ),
  routes: v.optional(
    v.array(
      v.object({
        path: v.string(),
        mode: v.picklist(["static", "server", "live"]),
        query: Text,
        auth: Text,
      }),
    ),
    [],
  ),
  queries: v.optional(v.array(Call), []),
  actions: v.optional(v.array(Call), []),
  policies: v.optional(
    v.array(
      v.object({
        ...Named,
        entity: Text,
        action: Text,
        restrict: v.optional(v.literal(true)),
        allow: Text,
        allowRead: Text,
        allowInsert: Text,
        allowUpdate: Text,
        allowDelete: Text,
        allowWrite: Text,
        fields: v.optional(
          v.record(
            v.string(),
            v.object({
              allow: Text,
              allowRead: Text,
              allowInsert: Text,
              allowUpdate: Text,
              allowWrite: Text,
            }),
          ),
        ),
      }),
    ),
    [],
  ),
  auth: v.optional(
    v.object({
      user: v.optional(
        v.object({
          entity: Text,
          expose: v.optional(v.array(v.string())),
          hide: v.optional(v.array(v.string())),
        }),
      ),
      session: v.optional(
        v.object({
          expiresIn: v.optional(v.pipe(v.number(), v.minValue(1))),
          idleTimeout: v.optional(v.pipe(v.number(), v.minValue(1))),
          // Apps of the public system may have this setting.
          cookieCache: v.optional(v.unknown()),
        }),
      ),
      trustedOrigins: v.optional(v.array(v.string())),
      pages: v.optional(v.boolean()),
    }),
  ),
  plugins: v.optional(
    v.array(
      v.object({
        ...Named,
        custom: v.optional(v.literal(true)),
        config: v.optional(v.record(v.string(), v.unknown())),
      }),
    ),
  ),
  crons: v.optional(
    v.array(
      v.object({
        ...Named,
        schedule: v.string(),
        function: v.string(),
        args: v.optional(v.record(v.string(), v.unknown())),
        timezone: Text,
        missed: v.optional(v.picklist(["run", "skip"])),
        overlap: v.optional(v.picklist(["run", "skip"])),
      }),
    ),
  ),
  queues: v.optional(
    v.record(
      QueueName,
      v.object({
        concurrency: v.optional(Count),
        rate: v.optional(
          v.object({
            max: v.pipe(Count, v.maxValue(MAX_QUEUE_RATE)),
            perSeconds: v.pipe(v.number(), v.minValue(1), v.maxValue(24 * 60 * 60)),
          }),
        ),
        perKey: v.optional(v.object({ concurrency: Count })),
      }),
    ),
  ),
  rooms: v.optional(
    v.array(v.object({ ...Named, allow: Text, allowJoin: Text, allowSend: Text, allowSee: Text })),
  ),
  access: v.optional(v.literal("public")),
  peerMessages: v.optional(v.literal("tenant")),
});
