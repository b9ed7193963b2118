import { codeHash } from "./code-hash.ts";
import type { FnDefinition, FunctionOptions } from "@pylonsync/functions";
import {
  authCodeOf,
  fieldCodeOf,
  pluginFunctionsOf,
  type AuthCode,
  type Manifest,
} from "@pylonsync/sdk";
import type { DataMigrations } from "../data/data-migrations.ts";
import { DataModel } from "../data/model.ts";
import { HookSet } from "../data/hooks.ts";
import { checkHttpPaths, HttpTable, type HttpFunctions } from "../functions/http-table.ts";
import { secretNamesOf } from "../functions/secrets.ts";
import { checkCrons } from "../jobs/check-crons.ts";
import { checkMcp } from "../mcp/tools.ts";
import { compileFunctionPolicies, type FunctionPolicies } from "../policy/function-policies.ts";
import { compilePolicies } from "../policy/policy-set.ts";
import { compileRooms, type RoomRules } from "../policy/room-rules.ts";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import { Schema } from "../schema/schema.ts";
import type { ValueCipher } from "../schema/encrypted-fields.ts";
import { validateManifest } from "../schema/validate-manifest.ts";
import { checkPluginSettings } from "./check-plugin-settings.ts";
import type { LoadedApp } from "./load-app.ts";

/** A valid app that the server serves. */
export interface CompiledApp {
  readonly manifest: Manifest;
  readonly model: DataModel;
  /** The permissions in rooms. */
  readonly rooms: RoomRules;
  /** The code that `auth()` in app.ts contains, besides the manifest. */
  readonly authCode: AuthCode;
  readonly dir: LoadedApp["dir"];
  readonly functions: LoadedApp["functions"];
  readonly functionsDir: LoadedApp["functionsDir"];
  /** Who may call which function, if a policy defines it. */
  readonly functionPolicies: FunctionPolicies;
  /** The HTTP functions by their paths. */
  readonly http: HttpTable;
  /** The variables that functions declare as secrets. */
  readonly secretNames: ReadonlySet<string>;
  readonly workflows: LoadedApp["workflows"];
  readonly dataMigrations: DataMigrations;
  readonly shards: LoadedApp["shards"];
  /** The location of a shard's code; undefined for a shard that was not loaded from a folder. */
  readonly shardSource: (
    name: string,
  ) => { readonly root: string; readonly file: string } | undefined;
  /** A hash of the code of each recorded shard, as it was loaded. */
  readonly shardCode: ReadonlyMap<string, string | null>;
  readonly web: LoadedApp["web"];
}

/**
 * Checks a loaded app and compiles its schema and policies.
 *
 * @param options.cipher encrypts and decrypts fields; absent where no rows are read or written
 * @returns `app` is null when a diagnostic is an error
 */
export function compileApp(
  loaded: LoadedApp,
  options: { readonly dev: boolean; readonly cipher?: ValueCipher },
): { app: CompiledApp | null; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [...loaded.diagnostics];
  const { manifest, diagnostics: found } = validateManifest(loaded.manifest, loaded.manifestModule);
  diagnostics.push(...found);
  if (manifest === null) return { app: null, diagnostics };
  const schema = Schema.fromManifest(manifest, options.cipher);
  const { policies, diagnostics: ofPolicies } = compilePolicies(manifest, schema.shapes, options);
  const { rules: rooms, diagnostics: ofRooms } = compileRooms(manifest, schema.shapes, options);
  const functions = withPluginFunctions(loaded, diagnostics);
  const http: HttpFunctions = loaded.http ?? new Map();
  diagnostics.push(...checkHttpPaths(http, loaded.functionFiles ?? new Map()));
  const { policies: functionPolicies, diagnostics: ofFunctions } = compileFunctionPolicies(
    new Map<string, Pick<FunctionOptions, "auth">>([...functions, ...http]),
    schema.shapes,
  );
  diagnostics.push(...ofPolicies, ...ofRooms, ...ofFunctions, ...lostCode(loaded, manifest));
  diagnostics.push(...checkDataMigrations(loaded.dataMigrations ?? new Map(), schema));
  diagnostics.push(...checkCrons(manifest.crons ?? [], functions));
  diagnostics.push(...checkMcp(manifest, functions), ...checkPluginSettings(manifest));
  if (diagnostics.some(({ severity }) => severity === "error")) return { app: null, diagnostics };
  const model = new DataModel(schema, policies, HookSet.of(loaded.manifestModule));
  return {
    app: {
      manifest,
      model,
      rooms,
      authCode: authCodeOf(loaded.manifestModule),
      dir: loaded.dir,
      functions,
      functionsDir: loaded.functionsDir,
      functionPolicies,
      http: new HttpTable(http),
      secretNames: secretNamesOf([...functions.values(), ...http.values()]),
      workflows: loaded.workflows,
      dataMigrations: loaded.dataMigrations ?? new Map(),
      shards: loaded.shards,
      shardSource: (name) => {
        const file = loaded.shardFiles?.get(name);
        return file === undefined ? undefined : { root: loaded.dir, file };
      },
      shardCode: shardCodeOf(loaded),
      web: loaded.web,
    },
    diagnostics,
  };
}

/** A printed manifest is JSON, so it does not contain the plugins' code. */
function* lostCode(
  { manifestModule }: LoadedApp,
  { plugins = [], entities }: Manifest,
): Generator<Diagnostic> {
  yield* lostFieldCode(entities);
  const names = plugins.filter(({ custom }) => custom === true).map(({ name }) => name);
  if (manifestModule !== undefined || names.length === 0) return;
  yield {
    severity: "warning",
    code: "PLUGIN_CODE_MISSING",
    message: `The app does not export its manifest, so hooks of ${names.join(", ")} do not run.`,
    path: "plugins",
    hint: "End app.ts with `export default buildManifest({...})`.",
  };
}

/** A migration for an entity that no longer exists must be deleted too. */
function* checkDataMigrations(migrations: DataMigrations, schema: Schema): Generator<Diagnostic> {
  for (const [name, migration] of migrations) {
    if ("run" in migration || schema.find(migration.entity) !== undefined) continue;
    yield errorAt(
      "MIGRATION_ENTITY_NOT_FOUND",
      `The data migration ${name} names the entity "${migration.entity}", which does not exist.`,
      `migrations/${name}`,
      "Correct the name, or delete the file once the migration has run on all databases.",
    );
  }
}

/** Without its function, an insert would lack the value of the field. */
function* lostFieldCode(entities: Manifest["entities"]): Generator<Diagnostic> {
  for (const [index, { name, fields }] of entities.entries())
    for (const [place, field] of fields.entries()) {
      const code = fieldCodeOf(field);
      const isLost =
        (field.computed === true && code?.computed === undefined) ||
        (field.default_by_code === true && code?.default === undefined);
      if (isLost)
        yield errorAt(
          "FIELD_CODE_MISSING",
          `${name}.${field.name} is set by a function, which a printed manifest can't contain.`,
          `entities[${index}].fields[${place}]`,
          "End app.ts with `export default buildManifest({...})`.",
        );
    }
}

/** Returns the functions of the app and of its plugins. */
function withPluginFunctions(
  { functions, http, manifestModule }: LoadedApp,
  diagnostics: Diagnostic[],
): LoadedApp["functions"] {
  const own = Object.entries(pluginFunctionsOf(manifestModule));
  const taken = own.filter(([name]) => functions.has(name) || http?.has(name));
  for (const [name] of taken)
    diagnostics.push(
      errorAt(
        "FUNCTION_DUPLICATE",
        `The app and a plugin both define the function "${name}".`,
        `functions/${name}`,
        "Give the app's function another name.",
      ),
    );
  // Their code exists only where app.ts is loaded; a separate process loads only functions/.
  const here = own.map(([name, one]): [string, FnDefinition] => [name, { ...one, isolate: false }]);
  return own.length === 0 ? functions : new Map([...functions, ...here]);
}

function shardCodeOf({ dir, shards, shardFiles }: LoadedApp): CompiledApp["shardCode"] {
  const code = new Map<string, string | null>();
  for (const [name, { record }] of shards) {
    if (record === undefined || record === false) continue;
    const file = shardFiles?.get(name);
    code.set(name, file === undefined ? null : codeHash(file, dir));
  }
  return code;
}
