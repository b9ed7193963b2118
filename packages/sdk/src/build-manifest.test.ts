import { expect, test } from "bun:test";
import fc from "fast-check";
import { authCodeOf, buildManifest, hooksOf } from "./build-manifest.ts";
import { auth } from "./declare.ts";
import { entity } from "./entity.ts";
import { fieldCodeOf } from "./field-code.ts";
import { field, type Field } from "./field.ts";
import type { ManifestField } from "./manifest.ts";
import { definePlugin, type Plugin } from "./plugin.ts";
import { computed as computedPlugin, timestamps as timestampsPlugin } from "./plugins/index.ts";

const KINDS = {
  string: "string",
  int: "int",
  float: "float",
  number: "float",
  bool: "bool",
  boolean: "bool",
  datetime: "datetime",
  richtext: "richtext",
} as const;
type Kind = keyof typeof KINDS;
type Modifier = "optional" | "unique" | "readonly" | "owner" | "crdt" | "default";

const definitions = fc.record({
  kind: fc.constantFrom(...(Object.keys(KINDS) as Kind[])),
  modifiers: fc.shuffledSubarray<Modifier>(["optional", "unique", "readonly", "owner", "crdt"]),
});
const names = fc.stringMatching(/^[a-z][A-Za-z0-9]{0,5}$/);

function fieldOf({
  kind,
  modifiers,
}: {
  readonly kind: Kind;
  readonly modifiers: readonly Modifier[];
}): Field {
  let made: Field = field[kind]();
  for (const modifier of modifiers) made = modified(made, modifier);
  return made;
}

function modified(made: Field, modifier: Modifier): Field {
  if (modifier === "crdt") return made.crdt("lww");
  return modifier === "default" ? made : made[modifier]();
}

function expectedOf(
  name: string,
  { kind, modifiers }: { readonly kind: Kind; readonly modifiers: readonly Modifier[] },
): ManifestField {
  const has = (modifier: Modifier): boolean => modifiers.includes(modifier);
  return {
    name,
    type: KINDS[kind],
    optional: has("optional"),
    unique: has("unique"),
    ...(has("readonly") ? { readonly: true } : {}),
    ...(has("owner") ? { owner: true } : {}),
    ...(has("crdt") ? { crdt: "lww" } : {}),
  };
}

/** A call that the compiler would reject. */
function misspelt(target: object, name: string): unknown {
  return (Reflect.get(target, name) as () => unknown)();
}

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("It was taken.");
}

test("a field has its modifiers, in any order, and a modifier changes no other field", () => {
  fc.assert(
    fc.property(names, definitions, fc.boolean(), (name, definition, again) => {
      const made = fieldOf(definition);
      const before = made.toManifest(name);
      expect(before).toEqual(expectedOf(name, definition));
      for (const modifier of definition.modifiers) modified(made, again ? modifier : "optional");
      expect(made.toManifest(name)).toEqual(before);
    }),
  );
});

test("rules of values are in the manifest beside the kind", () => {
  const text = { type: "string", optional: false, unique: false } as const;
  const cases: readonly (readonly [Field, object])[] = [
    [field.enum(["a", "b"]), { ...text, enum: ["a", "b"] }],
    [field.string().min(1).max(20), { ...text, min: 1, max: 20 }],
    [field.string().length(3), { ...text, min: 3, max: 3 }],
    [field.string().pattern(/^a$/), { ...text, pattern: "^a$" }],
    [field.string().pattern(/^a$/iu), { ...text, pattern: "^a$", pattern_flags: "iu" }],
    [field.float().min(-1.5), { ...text, type: "float", min: -1.5 }],
    [field.url(), { ...text, format: "url" }],
    [field.email(), { ...text, format: "email" }],
    [field.date(), { ...text, format: "date" }],
    [field.bytes(), { ...text, format: "bytes" }],
    [field.bytes({ maxBytes: 8 }), { ...text, format: "bytes", max_bytes: 8 }],
    [field.string().hidden(), { ...text, hidden: true }],
    [field.id("User"), { ...text, type: "id(User)" }],
    [
      field.id("User", { onDelete: "cascade" }),
      { ...text, type: "id(User)", on_delete: "cascade" },
    ],
    [field.json(), { ...text, type: "json" }],
    [field.json({ type: "any" }), { ...text, type: "json", schema: { type: "any" } }],
    [
      field.array(field.string().max(3)).max(4).default(["a"]),
      { ...text, type: "array", items: { type: "string", max: 3 }, max: 4, default: ["a"] },
    ],
  ];
  for (const [made, expected] of cases)
    expect<object>(made.toManifest("x")).toEqual({ name: "x", ...expected });
});

test(".index() declares an index of the field, once", () => {
  const { indexes, fields } = entity(
    "Todo",
    {
      title: field.string().index().max(20).optional().default("x"),
      rank: field
        .int()
        .default(() => 1)
        .index(),
      size: field
        .int()
        .index()
        .computed(() => 1)
        .index(),
      done: field.bool().index(),
      note: field.string(),
    },
    { indexes: [{ name: "done", fields: ["done"], unique: false }] },
  );
  expect(indexes).toEqual([
    { name: "done", fields: ["done"], unique: false },
    { name: "by_title", fields: ["title"], unique: false },
    { name: "by_rank", fields: ["rank"], unique: false },
    { name: "by_size", fields: ["size"], unique: false },
  ]);
  expect(fields[4]).toEqual({ name: "note", type: "string", optional: false, unique: false });
  expect(() => entity("Todo", { tags: field.array(field.string().index()) })).toThrow(
    "no other modifiers",
  );
});

test("timestamps: true of the app stamps each entity once, but for those that say false", () => {
  const fieldsOf = (...plugins: readonly Plugin[]): object => {
    const app = buildManifest({
      name: "app",
      version: "1.0.0",
      timestamps: true,
      entities: [
        entity("Plain", {}),
        entity("Stamped", {}, { timestamps: true }),
        entity("Bare", { createdAt: field.datetime() }, { timestamps: false }),
      ],
      plugins,
    });
    expect(JSON.parse(JSON.stringify(app))).not.toHaveProperty("timestamps");
    return Object.fromEntries(
      app.entities.map(({ name, fields }) => [
        name,
        fields.map((one) => one.timestamp ?? one.name),
      ]),
    );
  };
  const stamps = ["created", "updated"];
  expect(fieldsOf()).toEqual({ Plain: stamps, Stamped: stamps, Bare: ["createdAt"] });
  const Log = entity("Log", { at: field.datetime() });
  expect(
    fieldsOf(
      timestampsPlugin({ entities: ["Plain", "Stamped"] }),
      definePlugin({ name: "log", entities: [Log] }),
    ),
  ).toEqual({ Plain: stamps, Stamped: stamps, Bare: ["createdAt"], Log: ["at"] });
  const own = entity("Own", { updatedAt: field.string() });
  const build = (timestamps: unknown): string =>
    messageOf(() =>
      buildManifest({ name: "a", version: "1.0.0", entities: [own], timestamps } as never),
    );
  expect(build(true)).toContain("Own.updatedAt is declared as a field");
  expect(build("yes")).toBe('timestamps of buildManifest is "yes": write timestamps: true.');
});

test("the manifest lists fields with code, and the code is attached to it", () => {
  const make = (): number => 1;
  const Note = entity("Note", {
    a: field.int().default(2).default(make),
    b: field.int().default(make).default(2),
    c: field.int().computed(make, { version: 3 }).optional(),
  });
  expect(JSON.parse(JSON.stringify(Note.fields))).toEqual([
    { name: "a", type: "int", optional: false, unique: false, default_by_code: true },
    { name: "b", type: "int", optional: false, unique: false, default: 2 },
    { name: "c", type: "int", optional: true, unique: false, computed: true },
  ]);
  expect(
    messageOf(() =>
      buildManifest({
        name: "a",
        version: "1.0.0",
        entities: [Note],
        plugins: [computedPlugin({ Note: { c: make } })],
      }),
    ),
  ).toContain("computed of Note.c: the field already has a .computed()");
  const [a, , c] = Note.fields.map(fieldCodeOf);
  expect(a).toEqual({ default: make });
  expect(c).toEqual({ computed: make, computedVersion: 3 });
});

test("timestamps: true adds the two fields that the server writes", () => {
  const Note = entity("Note", { text: field.string() }, { timestamps: true });
  expect(Note.fields.map(({ name, timestamp }) => [name, timestamp])).toEqual([
    ["text", undefined],
    ["createdAt", "created"],
    ["updatedAt", "updated"],
  ]);
  expect(Object.keys(Note)).not.toContain("timestamps");
  expect(entity("Note", { text: field.string() }, { timestamps: false }).fields.length).toBe(1);
  expect(
    messageOf(() => entity("Note", { createdAt: field.datetime() }, { timestamps: true })),
  ).toContain("Note.createdAt is declared as a field");
});

test("an app is its parts as plain JSON, in their order, those of plugins after its own", () => {
  const fields = fc.dictionary(names, definitions, {
    minKeys: 1,
    maxKeys: 4,
    noNullPrototype: true,
  });
  const entities = fc.array(fc.record({ name: names, fields }), { maxLength: 3 });
  fc.assert(
    fc.property(entities, entities, (own, plugged) => {
      const make = (all: typeof own) =>
        all.map((one) =>
          entity(
            one.name,
            Object.fromEntries(
              Object.entries(one.fields).map(([key, value]) => [key, fieldOf(value)]),
            ),
          ),
        );
      const app = buildManifest({
        name: "app",
        version: "1.0.0",
        entities: make(own),
        plugins: [
          definePlugin({ name: "p", entities: make(plugged) }),
          definePlugin({ name: "q" }),
        ],
      });
      const json: unknown = JSON.parse(JSON.stringify(app));
      expect(json).toEqual({ ...app });
      expect(json).toEqual({
        manifest_version: 1,
        name: "app",
        version: "1.0.0",
        routes: [],
        queries: [],
        actions: [],
        policies: [],
        plugins: [{ name: "p", custom: true }, { name: "q" }],
        entities: [...own, ...plugged].map((one) => ({
          name: one.name,
          indexes: [],
          fields: Object.entries(one.fields).map(([key, value]) => expectedOf(key, value)),
        })),
      });
    }),
  );
});

test("code is attached to the manifest and is not in its JSON", () => {
  const hooks = { beforeInsert: () => true };
  const other = { afterDelete: () => undefined };
  const claims = () => ({ roles: ["staff"] });
  const app = buildManifest({
    name: "app",
    version: "1",
    entities: [],
    plugins: [
      definePlugin({ name: "a", hooks }),
      definePlugin({ name: "b" }),
      definePlugin({ name: "c", hooks: other }),
    ],
    auth: auth({ user: { hide: ["phone"] }, hooks: { claims } }),
  });
  expect(hooksOf(app)).toEqual([hooks, other]);
  expect(authCodeOf(app)).toEqual({ hooks: { claims }, mails: {} });
  expect(app.auth).toEqual({ user: { hide: ["phone"] } });
  const json: unknown = JSON.parse(JSON.stringify(app));
  for (const stranger of [json, null, 1, {}]) {
    expect(hooksOf(stranger)).toEqual([]);
    expect(authCodeOf(stranger)).toEqual({ hooks: {}, mails: {} });
  }
});

test("unknown keys stay in the manifest, for the server to name", () => {
  const app: object = buildManifest({
    name: "app",
    version: "1",
    entities: [],
    ...{ polices: [], hooks: () => 1, absent: undefined },
  });
  expect(app).toMatchObject({ polices: null, hooks: null });
  expect(app).not.toHaveProperty("absent");
  const options: object = { index: [] };
  expect(entity("A", { a: field.int() }, options)).toMatchObject({ index: null });
});

test("an invalid definition is rejected, with what to write", () => {
  // As an app in JavaScript may call it.
  const build = buildManifest as (definition: unknown) => unknown;
  const declare = entity as (name: unknown, fields: unknown, options?: unknown) => unknown;
  const base = { name: "a", version: "1" };
  for (const wrong of [undefined, null, "app", 1])
    expect(messageOf(() => build(wrong))).toContain("write buildManifest(");
  expect(messageOf(() => build(base))).toContain("no entities");
  expect(messageOf(() => build({ ...base, entities: {} }))).toContain("entities: [Todo]");
  expect(messageOf(() => build({ ...base, entities: [], plugins: ["p"] }))).toContain("plugins[0]");
  expect(
    messageOf(() =>
      build({ ...base, entities: [], plugins: [{ name: "p", hooks: { beforeinsert: 1 } }] }),
    ),
  ).toContain('Did you mean "beforeInsert"?');
  expect(
    messageOf(() => build({ ...base, entities: [], auth: { hooks: { claims: "x" } } })),
  ).toContain("must be a function");
  const Todo = entity("Todo", { title: field.string() });
  const withPlugin = (plugin: object): string =>
    messageOf(() => build({ ...base, entities: [Todo], plugins: [{ name: "p", ...plugin }] }));
  const spread = { ...Todo, fields: Object.fromEntries(Object.entries(Todo.fields)) };
  for (const wrong of [1, [spread], [{ ...Todo, indexes: undefined }]])
    expect(withPlugin({ schema: () => wrong })).toContain("use fields: { Todo:");
  expect(withPlugin({ fields: 1 })).toContain("write fields: { Todo:");
  expect(withPlugin({ fields: { Tood: { a: field.int() } } })).toContain('Did you mean "Todo"?');
  expect(withPlugin({ fields: { Todo: { title: field.int() } } })).toContain(
    "to have the type int",
  );
  expect(withPlugin({ fields: { Todo: { rank: "int" } } })).toContain("write rank: field.int()");
  for (const wrong of [undefined, 1, {}])
    expect(messageOf(() => declare(wrong, {}))).toContain('entity("Todo"');
  for (const wrong of [undefined, [], "a"])
    expect(messageOf(() => declare("A", wrong))).toContain("must be an object");
  expect(messageOf(() => declare("A", {}, []))).toContain("must be an object");
});

test.each<[unknown, string]>([
  ["string", "write title: field.string()"],
  ["strng", 'Did you mean "string"?'],
  [() => 1, "with parentheses"],
  [1, "A.title is 1, not a field"],
  [misspelt(field, "text"), "there is no field.text()"],
  [misspelt(field.string(), "uniqe"), 'Did you mean "unique"?'],
  [(field.id as (target: unknown) => unknown)({ name: "User" }), 'write field.id("User")'],
  [(field.file as (options: unknown) => unknown)({ maxbytes: 1 }), 'Did you mean "maxBytes"?'],
])("#%#: a value that is not a field is named with its entity and the remedy", (wrong, words) => {
  const message = messageOf(() =>
    (entity as (name: string, fields: unknown) => unknown)("A", { title: wrong }),
  );
  expect(message).toContain("A.title");
  expect(message).toContain(words);
});

test("a mistaken field of two entities is named with each of them, where it was made", () => {
  const title = misspelt(field.string(), "uniqe");
  const declare = entity as (name: string, fields: unknown) => unknown;
  const [first, second] = ["A", "B"].map((name) => {
    try {
      return declare(name, { title });
    } catch (error) {
      return error;
    }
  }) as [Error, Error];
  expect(first.message).toStartWith("A.title: ");
  expect(second.message).toBe(first.message.replace("A.title", "B.title"));
  const frames = ({ stack = "" }: Error): string[] => stack.split("\n").slice(1);
  expect(frames(second)).toEqual(frames(first));
});

test('references: "checked" checks all references but those that are exempt or have a rule', () => {
  const Note = entity("Note", {
    plain: field.id("Note").default("n"),
    computed: field
      .id("Note")
      .optional()
      .computed(() => null),
    cascade: field.id("Note", { onDelete: "cascade" }),
    free: field.id("Note", { checked: false }).optional(),
    text: field.string(),
  });
  const checks = (app: object): object =>
    Object.fromEntries(
      buildManifest({ name: "n", version: "1.0.0", entities: [Note], ...app }).entities.flatMap(
        ({ fields }) => fields.map(({ name, on_delete: onDelete }) => [name, onDelete]),
      ),
    );
  const declared = { plain: undefined, computed: undefined, cascade: "cascade", free: undefined };
  expect(checks({})).toEqual({ ...declared, text: undefined });
  const checked = { ...declared, plain: "restrict", computed: "restrict", text: undefined };
  expect(checks({ references: "checked" })).toEqual(checked);
  const { entities } = buildManifest({
    name: "n",
    version: "1.0.0",
    entities: [Note],
    references: "checked",
    plugins: [definePlugin({ name: "p", entities: [entity("Own", { a: field.id("Note") })] })],
  });
  expect(Object(entities[1]).fields[0]).not.toHaveProperty("on_delete");
  const computed = entities[0]?.fields.find(({ name }) => name === "computed");
  expect(computed && fieldCodeOf(computed)?.computed).toBeFunction();
  expect(() => checks({ references: true })).toThrow('write references: "checked"');
  for (const options of [{ checked: true }, { checked: false, onDelete: "cascade" }])
    expect(() =>
      // @ts-expect-error a reference is checked by onDelete
      entity("Wrong", { a: field.id("Note", options) }),
    ).toThrow("checked can only be false");
});
