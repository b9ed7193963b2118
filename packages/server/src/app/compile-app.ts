import { authCodeOf, type AuthCode, type Manifest } from "@pylonsync/sdk";
import { DataModel } from "../data/model.ts";
import { HookSet } from "../data/hooks.ts";
import { checkCrons } from "../jobs/check-crons.ts";
import { compilePolicies } from "../policy/policy-set.ts";
import { compileRooms, type RoomRules } from "../policy/room-rules.ts";
import type { Diagnostic } from "../schema/diagnostic.ts";
import { Schema } from "../schema/schema.ts";
import { validateManifest } from "../schema/validate-manifest.ts";
import type { LoadedApp } from "./load-app.ts";

/** An app that was found valid: what the server serves. */
export interface CompiledApp {
  readonly manifest: Manifest;
  readonly model: DataModel;
  /** Who may do what in which room. */
  readonly rooms: RoomRules;
  /** What `auth()` in app.ts was given besides the manifest. */
  readonly authCode: AuthCode;
  readonly functions: LoadedApp["functions"];
  readonly workflows: LoadedApp["workflows"];
  readonly shards: LoadedApp["shards"];
  readonly web: LoadedApp["web"];
}

/**
 * Checks a loaded app and compiles its schema and policies.
 *
 * @returns `app` is null when a diagnostic is an error
 */
export function compileApp(
  loaded: LoadedApp,
  options: { readonly dev: boolean },
): { app: CompiledApp | null; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [...loaded.diagnostics];
  const { manifest, diagnostics: found } = validateManifest(loaded.manifest);
  diagnostics.push(...found);
  if (manifest === null) return { app: null, diagnostics };
  const schema = Schema.fromManifest(manifest);
  const { policies, diagnostics: ofPolicies } = compilePolicies(manifest, schema.shapes, options);
  const { rules: rooms, diagnostics: ofRooms } = compileRooms(manifest, schema.shapes, options);
  diagnostics.push(...ofPolicies, ...ofRooms);
  diagnostics.push(...checkCrons(manifest.crons ?? [], loaded.functions));
  if (diagnostics.some(({ severity }) => severity === "error")) return { app: null, diagnostics };
  const model = new DataModel(schema, policies, HookSet.of(loaded.manifestModule));
  return {
    app: {
      manifest,
      model,
      rooms,
      authCode: authCodeOf(loaded.manifestModule),
      functions: loaded.functions,
      workflows: loaded.workflows,
      shards: loaded.shards,
      web: loaded.web,
    },
    diagnostics,
  };
}
