import { isScalarKind, nearest, WANTED } from "@pylonsync/query";
import {
  MANIFEST_VERSION,
  type Manifest,
  type ManifestCall,
  type ManifestEntity,
  type ManifestField,
} from "@pylonsync/sdk";
import * as v from "valibot";
import { checkPlugins } from "./check-plugins.ts";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import { ManifestShape } from "./manifest-shape.ts";
import { malformed } from "./malformed.ts";
import { labelOf } from "./manifest-label.ts";
import { checkHiddenFields, checkNestedIndexes, checkValueRules } from "./check-value-rules.ts";
import { isGenerated } from "./generated-default.ts";
import { readValueOf } from "./field-value.ts";
import { isSameValue } from "./nested-value.ts";
import { referenceIndexName, uniqueIndexName } from "./diff.ts";
import { kindOf, targetOf } from "./field-kind.ts";
import { unknownKeys } from "./unknown-keys.ts";

const TYPES = ["string", "int", "float", "bool", "datetime", "richtext", "file", "json", "array"];
const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]+\/(\*|[a-z0-9!#$&^_.+-]+)$/;
const INPUT_TYPES = [...TYPES, "number", "boolean", "id", "any", "object", "array"];
/** Postgres refuses a column of these names, even where it is quoted. */
const POSTGRES_COLUMNS = new Set(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"]);
const NAME = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;
const RULES = [
  "allow",
  "allowRead",
  "allowInsert",
  "allowUpdate",
  "allowDelete",
  "allowWrite",
] as const;

/**
 * Checks a manifest, as app.ts made it or as it was read from a file.
 *
 * @param json null: there is none, and who looked for it has told why
 * @returns all that is wrong with it; `manifest` is null when something is
 */
export function validateManifest(json: unknown): {
  manifest: Manifest | null;
  diagnostics: Diagnostic[];
} {
  if (json === null) return { manifest: null, diagnostics: [] };
  const shape = v.safeParse(ManifestShape, json);
  if (!shape.success) {
    const diagnostics = shape.issues.map((issue) => malformedAt(json, issue));
    return { manifest: null, diagnostics: [...unknownKeys(json), ...diagnostics] };
  }
  const manifest = shape.output as Manifest;
  const diagnostics = [...unknownKeys(json), ...checkManifest(manifest)];
  const isValid = diagnostics.every(({ severity }) => severity !== "error");
  return { manifest: isValid ? manifest : null, diagnostics };
}

function malformedAt(json: unknown, issue: v.BaseIssue<unknown>): Diagnostic {
  const { field, message } = malformed(issue);
  const path = (issue.path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key)));
  const label = path.length < 2 ? "" : ` (${labelOf(json, path)})`;
  return errorAt(
    "MANIFEST_INVALID",
    `The manifest is malformed: ${message}${label}.`,
    field === "" ? undefined : field,
  );
}

function* checkManifest(manifest: Manifest): Generator<Diagnostic> {
  if (manifest.manifest_version !== MANIFEST_VERSION) {
    yield errorAt(
      "MANIFEST_VERSION_UNSUPPORTED",
      `Manifest version ${manifest.manifest_version} is not known.`,
      "manifest_version",
      `This server reads version ${MANIFEST_VERSION}.`,
    );
  }
  if (manifest.entities.length === 0)
    yield errorAt(
      "SCHEMA_EMPTY",
      "The app declares no entity.",
      "entities",
      "Add entity(...) to app.ts.",
    );
  yield* duplicates(manifest.entities, "ENTITY", "entities");
  for (const [index, entity] of manifest.entities.entries())
    yield* checkEntity(entity, manifest, `entities[${index}]`);
  yield* checkCalls(manifest.queries, "QUERY", "queries");
  yield* checkCalls(manifest.actions, "ACTION", "actions");
  yield* checkPolicies(manifest);
  yield* checkRoutes(manifest);
  yield* checkPlugins(manifest.plugins ?? []);
  yield* checkAuth(manifest);
}

function* checkAuth({ auth }: Manifest): Generator<Diagnostic> {
  if (auth?.session !== undefined && "cookieCache" in auth.session)
    yield {
      severity: "warning",
      code: "MANIFEST_KEY_WITHOUT_EFFECT",
      message: "auth.session.cookieCache has no effect: sessions are always looked up.",
      path: "auth.session.cookieCache",
      hint: "Remove it.",
    };
  for (const [index, origin] of (auth?.trustedOrigins ?? []).entries()) {
    if (!isOrigin(origin))
      yield errorAt(
        "TRUSTED_ORIGIN_INVALID",
        `"${origin.slice(0, 100)}" is not an origin: it would let nobody in, or the wrong ones.`,
        `auth.trustedOrigins[${index}]`,
        'Use scheme, host and port alone: "https://app.example.com".',
      );
  }
}

/**
 * As browsers write it in the header Origin. `null` is what they write for pages of any origin
 * whatever.
 */
function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

function* checkEntity(
  entity: ManifestEntity,
  manifest: Manifest,
  at: string,
): Generator<Diagnostic> {
  if (entity.name !== "" && !NAME.test(entity.name)) {
    yield errorAt(
      "ENTITY_NAME_INVALID",
      `"${entity.name}" can't name an entity.`,
      `${at}.name`,
      "Use letters, digits and _, a letter first, at most 63.",
    );
  }
  if (/^sqlite_/i.test(entity.name))
    yield errorAt(
      "ENTITY_NAME_RESERVED",
      `SQLite keeps names that begin with sqlite_ to itself, and ${entity.name} does.`,
      `${at}.name`,
      "Choose another name.",
    );
  yield* duplicates(entity.fields, "FIELD", `${at}.fields`);
  for (const [index, field] of entity.fields.entries())
    yield* checkField(entity, field, manifest, `${at}.fields[${index}]`);
  yield* duplicates(entity.indexes, "INDEX_NAME", `${at}.indexes`);
  yield* indexesOfFields(entity, at);
  const names = new Set(["id", ...entity.fields.map(({ name }) => name)]);
  for (const [index, { name, fields }] of entity.indexes.entries()) {
    if (fields.length === 0)
      yield errorAt(
        "INDEX_FIELDS_EMPTY",
        `The index "${name}" of ${entity.name} has no field.`,
        `${at}.indexes[${index}].fields`,
      );
    yield* unknownFields(
      fields,
      names,
      "INDEX_FIELD_NOT_FOUND",
      `The index "${name}" of ${entity.name}`,
      `${at}.indexes[${index}].fields`,
    );
  }
  yield* checkRelations(entity, manifest, names, at);
  const { text = [], facets = [], sortable = [] } = entity.search ?? {};
  yield* unknownFields(
    [...text, ...facets, ...sortable],
    names,
    "SEARCH_FIELD_NOT_FOUND",
    `The search of ${entity.name}`,
    `${at}.search`,
  );
  yield* checkHiddenFields(entity, at);
  yield* checkNestedIndexes(entity, at);
}

/** A unique field and a reference make an index of their own, whose name no other may have. */
function* indexesOfFields(entity: ManifestEntity, at: string): Generator<Diagnostic> {
  const own = new Set(
    entity.fields.flatMap((field) => [
      ...(field.unique ? [uniqueIndexName(field.name)] : []),
      ...(field.on_delete === undefined ? [] : [referenceIndexName(field.name)]),
    ]),
  );
  const taken = new Set([...own].map((name) => name.toLowerCase()));
  for (const [index, { name }] of entity.indexes.entries()) {
    if (taken.has(name.toLowerCase()))
      yield errorAt(
        "INDEX_NAME_RESERVED",
        `The index "${name}" of ${entity.name} has the name of the index ` +
          "that a unique field or a reference makes.",
        `${at}.indexes[${index}].name`,
        "Choose another name, or leave the index out.",
      );
  }
}

function* checkField(
  entity: ManifestEntity,
  field: ManifestField,
  manifest: Manifest,
  at: string,
): Generator<Diagnostic> {
  const label = `${entity.name}.${field.name}`;
  yield* checkFieldName(entity, field, at);
  if (!(yield* checkFieldType(field, manifest, label, at))) return;
  const kind = kindOf(field.type);
  let isRuled = true;
  for (const problem of checkValueRules(field, label, at)) {
    isRuled = false;
    yield problem;
  }
  if (isRuled) yield* checkDefault(field, label, at);
  if (field.owner === true && kind !== "string" && kind !== "id") {
    yield errorAt(
      "FIELD_OWNER_INVALID",
      `${label} is the owner's id, which is a string or an id.`,
      `${at}.owner`,
    );
  }
  yield* checkReference(field, label, at);
  yield* checkFileField(field, label, at);
}

function* checkReference(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  if (field.on_delete === undefined) return;
  const wrong = (message: string, hint?: string): Diagnostic =>
    errorAt("FIELD_REFERENCE_INVALID", message, `${at}.on_delete`, hint);
  if (targetOf(field.type) === undefined)
    yield wrong(`${label} is a ${field.type}, and an id alone has onDelete.`);
  if (field.on_delete === "setNull" && !field.optional)
    yield wrong(
      `${label} becomes null when the row that it refers to is deleted, and it is required.`,
      'Make it .optional(), or use "restrict" or "cascade".',
    );
}

function* checkFieldName(
  entity: ManifestEntity,
  field: ManifestField,
  at: string,
): Generator<Diagnostic> {
  const label = `${entity.name}.${field.name}`;
  if (field.name.toLowerCase() === "id")
    yield errorAt(
      "FIELD_NAME_RESERVED",
      field.name === "id"
        ? `${entity.name} declares "id", which every row has.`
        : `${label} differs only in case from "id", which every row has.`,
      `${at}.name`,
      field.name === "id" ? "Remove it." : "Choose another name.",
    );
  else if (POSTGRES_COLUMNS.has(field.name))
    yield errorAt(
      "FIELD_NAME_RESERVED",
      `${label} has the name of a column that every table of Postgres has.`,
      `${at}.name`,
      "Choose another name.",
    );
  else if (field.name !== "" && !NAME.test(field.name)) {
    yield errorAt(
      "FIELD_NAME_INVALID",
      `"${field.name}" can't name a field.`,
      `${at}.name`,
      "Use letters, digits and _, a letter first, at most 63.",
    );
  }
}

/** @returns whether there is such a type: without it there is nothing to say about the rest */
function* checkFieldType(
  field: ManifestField,
  manifest: Manifest,
  label: string,
  at: string,
): Generator<Diagnostic, boolean> {
  const target = targetOf(field.type);
  if (target !== undefined) {
    if (!manifest.entities.some(({ name }) => name === target)) {
      yield errorAt(
        "FIELD_ID_TARGET_NOT_FOUND",
        `${label} refers to "${target}", and there is no such entity.`,
        `${at}.type`,
        didYouMean(
          target,
          manifest.entities.map(({ name }) => name),
        ),
      );
    }
  } else if (!TYPES.includes(field.type)) {
    yield errorAt(
      "FIELD_TYPE_UNKNOWN",
      `${label} has the unknown type "${field.type}".`,
      `${at}.type`,
      `Known: ${TYPES.join(", ")}, id(Entity).`,
    );
    return false;
  }
  return true;
}

function* checkFileField(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  const { type, accept, max_bytes: maxBytes } = field;
  if (type !== "file") {
    if (accept !== undefined || (maxBytes !== undefined && field.format !== "bytes"))
      yield errorAt(
        "FIELD_FILE_INVALID",
        `${label} holds no file, and has rules for one.`,
        at,
        "Remove accept and max_bytes.",
      );
    return;
  }
  const wrong = accept?.find((entry) => !MEDIA_TYPE.test(entry));
  if (wrong !== undefined)
    yield errorAt(
      "FIELD_FILE_INVALID",
      `${label} accepts "${wrong}", which is not a media type.`,
      `${at}.accept`,
      'Write "image/png", or "image/*" for a family.',
    );
  if (maxBytes !== undefined && !(Number.isSafeInteger(maxBytes) && maxBytes > 0))
    yield errorAt(
      "FIELD_FILE_INVALID",
      `The largest size of ${label} is not a whole number of bytes.`,
      `${at}.max_bytes`,
    );
  if (field.owner === true)
    yield errorAt(
      "FIELD_OWNER_INVALID",
      `${label} holds a file, and can't be the owner's id.`,
      `${at}.owner`,
    );
  if (field.default !== undefined)
    yield errorAt(
      "FIELD_DEFAULT_INVALID",
      `${label} holds a file, which belongs to one row only.`,
      `${at}.default`,
    );
}

/** A default is a value like any other of its field. */
function* checkDefault(field: ManifestField, label: string, at: string): Generator<Diagnostic> {
  if (field.default === undefined || field.type === "file" || isGenerated(field)) return;
  const kind = kindOf(field.type);
  const normal = readValueOf(field)(field.default);
  const isNested = !isScalarKind(kind);
  // The columns' default is what was written.
  if (normal.ok && isNested && !isSameValue(normal.value, field.default))
    yield errorAt(
      "FIELD_DEFAULT_INVALID",
      `The default of ${label} is not in the form in which its values are stored.`,
      `${at}.default`,
      'Write dates as "2026-01-31T12:00:00.000Z".',
    );
  if (normal.ok) return;
  yield errorAt(
    "FIELD_DEFAULT_INVALID",
    `The default of ${label} ${normal.reason}.`,
    `${at}.default`,
    kind === "datetime"
      ? 'Write .default("2026-01-31T12:00:00Z"), or .default("now") for the time of the write.'
      : (normal.hint ?? `Give .default() ${WANTED[kind]}, or leave it out.`),
  );
}

function* checkRelations(
  entity: ManifestEntity,
  manifest: Manifest,
  names: ReadonlySet<string>,
  at: string,
): Generator<Diagnostic> {
  for (const [index, { name, target, field, many }] of (entity.relations ?? []).entries()) {
    const path = `${at}.relations[${index}]`;
    const other = manifest.entities.find((candidate) => candidate.name === target);
    if (other === undefined) {
      yield errorAt(
        "RELATION_TARGET_NOT_FOUND",
        `The relation "${name}" of ${entity.name} leads to "${target}", ` +
          "and there is no such entity.",
        `${path}.target`,
      );
    } else if (
      many === true
        ? !other.fields.some((candidate) => candidate.name === field)
        : !names.has(field)
    ) {
      yield errorAt(
        "RELATION_FIELD_NOT_FOUND",
        `The relation "${name}" of ${entity.name} uses "${field}", ` +
          `which ${many === true ? target : entity.name} does not have.`,
        `${path}.field`,
      );
    }
    if (names.has(name))
      yield errorAt(
        "RELATION_NAME_TAKEN",
        `The relation "${name}" of ${entity.name} has the name of a field.`,
        `${path}.name`,
      );
  }
}

function* checkCalls(
  calls: readonly ManifestCall[],
  kind: "QUERY" | "ACTION",
  at: string,
): Generator<Diagnostic> {
  yield* duplicates(calls, kind, at);
  for (const [index, call] of calls.entries()) {
    const inputs = call.input ?? [];
    yield* duplicates(inputs, "INPUT_FIELD", `${at}[${index}].input`);
    for (const { name, type } of inputs) {
      if (INPUT_TYPES.includes(type) || targetOf(type) !== undefined) continue;
      yield errorAt(
        "INPUT_FIELD_TYPE_UNKNOWN",
        `The input "${name}" of "${call.name}" has the unknown type "${type}".`,
        `${at}[${index}].input`,
      );
    }
  }
}

function* checkPolicies(manifest: Manifest): Generator<Diagnostic> {
  yield* duplicates(manifest.policies, "POLICY", "policies");
  for (const [index, policy] of manifest.policies.entries()) {
    const at = `policies[${index}]`;
    if (policy.entity === undefined && policy.action === undefined) {
      yield errorAt(
        "POLICY_NO_TARGET",
        `The policy "${policy.name}" names no entity and no action.`,
        at,
      );
    }
    if (RULES.every((rule) => (policy[rule] ?? "").trim() === ""))
      yield errorAt(
        "POLICY_ALLOW_EMPTY",
        `The policy "${policy.name}" allows nothing.`,
        at,
        `Set one of ${RULES.join(", ")}.`,
      );
    if (
      policy.entity !== undefined &&
      !manifest.entities.some(({ name }) => name === policy.entity)
    ) {
      yield errorAt(
        "POLICY_ENTITY_NOT_FOUND",
        `The policy "${policy.name}" is for "${policy.entity}", and there is no such entity.`,
        `${at}.entity`,
        didYouMean(
          policy.entity,
          manifest.entities.map(({ name }) => name),
        ),
      );
    }
    if (
      policy.action !== undefined &&
      !manifest.actions.some(({ name }) => name === policy.action)
    ) {
      yield errorAt(
        "POLICY_ACTION_NOT_FOUND",
        `The policy "${policy.name}" is for the action "${policy.action}", ` +
          "and there is no such action.",
        `${at}.action`,
      );
    }
  }
}

function* checkRoutes(manifest: Manifest): Generator<Diagnostic> {
  const seen = new Set<string>();
  for (const [index, { path, query, auth }] of manifest.routes.entries()) {
    const at = `routes[${index}]`;
    if (path === "") yield errorAt("ROUTE_PATH_EMPTY", "A route has no path.", `${at}.path`);
    else if (!path.startsWith("/"))
      yield errorAt(
        "ROUTE_PATH_NO_SLASH",
        `The route "${path}" does not start with /.`,
        `${at}.path`,
      );
    if (seen.has(path))
      yield errorAt("ROUTE_PATH_DUPLICATE", `The route "${path}" is there twice.`, `${at}.path`);
    seen.add(path);
    if (auth !== undefined && auth !== "public" && auth !== "user")
      yield errorAt(
        "ROUTE_AUTH_INVALID",
        `The route "${path}" has auth "${String(auth)}".`,
        `${at}.auth`,
        'Use "public" or "user".',
      );
    if (query === undefined) continue;
    const call = manifest.queries.find(({ name }) => name === query);
    if (call === undefined) {
      yield errorAt(
        "ROUTE_QUERY_NOT_FOUND",
        `The route "${path}" uses the query "${query}", and there is none.`,
        `${at}.query`,
      );
      continue;
    }
    const inputs = new Set(call.input?.map(({ name }) => name));
    for (const [, param = ""] of path.matchAll(/:([A-Za-z0-9_]+)/g)) {
      if (!inputs.has(param))
        yield errorAt(
          "ROUTE_PARAM_NOT_IN_QUERY",
          `The route "${path}" has :${param}, which is not an input of "${query}".`,
          `${at}.path`,
        );
    }
  }
}

/** Empty and repeated names. Two names that differ only in case are one name to SQLite. */
function* duplicates(
  items: readonly { readonly name: string }[],
  kind: string,
  at: string,
): Generator<Diagnostic> {
  const seen = new Map<string, string>();
  for (const [index, { name }] of items.entries()) {
    const path = `${at}[${index}].name`;
    if (name === "")
      yield errorAt(
        kind.endsWith("_NAME") ? `${kind}_EMPTY` : `${kind}_NAME_EMPTY`,
        "A name is empty.",
        path,
      );
    const earlier = seen.get(name.toLowerCase());
    if (earlier !== undefined && name !== "") {
      yield errorAt(
        `${kind}_DUPLICATE`,
        earlier === name
          ? `"${name}" is there twice.`
          : `"${name}" and "${earlier}" differ only in case.`,
        path,
      );
    }
    seen.set(name.toLowerCase(), name);
  }
}

function* unknownFields(
  fields: readonly string[],
  known: ReadonlySet<string>,
  code: string,
  what: string,
  at: string,
): Generator<Diagnostic> {
  for (const field of fields) {
    if (!known.has(field))
      yield errorAt(
        code,
        `${what} uses "${field}", which is not a field.`,
        at,
        didYouMean(field, known),
      );
  }
}

function didYouMean(name: string, known: Iterable<string>): string | undefined {
  const meant = nearest(name, known);
  return meant === undefined ? undefined : `Did you mean "${meant}"?`;
}
