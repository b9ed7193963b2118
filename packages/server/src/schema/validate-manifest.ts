import { MANIFEST_VERSION, type Manifest } from "@pylonsync/sdk";
import * as v from "valibot";
import { checkAuth } from "./check-auth.ts";
import { checkCalls } from "./check-calls.ts";
import { checkEntity } from "./check-entity.ts";
import { duplicates } from "./check-names.ts";
import { checkOldNames } from "./check-old-names.ts";
import { checkPlugins } from "./check-plugins.ts";
import { checkPolicies } from "./check-policies.ts";
import { checkRoutes } from "./check-routes.ts";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import { withFieldCodeOf } from "./field-code.ts";
import { malformed } from "./malformed.ts";
import { labelOf } from "./manifest-label.ts";
import { ManifestShape } from "./manifest-shape.ts";
import { unknownKeys } from "./unknown-keys.ts";

/**
 * Validates a manifest that app.ts created or that was read from a file.
 *
 * @param json null: there is none, and the code that looked for it has reported the reason
 * @param module the default export of app.ts, with the functions of fields, which JSON does not
 *   contain
 * @returns all diagnostics; `manifest` is null if one of them is an error
 */
export function validateManifest(
  json: unknown,
  module?: unknown,
): {
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
  return { manifest: isValid ? withFieldCodeOf(manifest, module) : null, diagnostics };
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
      `Manifest version ${manifest.manifest_version} is not supported.`,
      "manifest_version",
      `This server supports version ${MANIFEST_VERSION}.`,
    );
  }
  if (manifest.entities.length === 0)
    yield errorAt(
      "SCHEMA_EMPTY",
      "The app declares no entities.",
      "entities",
      "Add entity(...) to app.ts.",
    );
  yield* duplicates(manifest.entities, "ENTITY", "entities");
  yield* checkOldNames(manifest.entities, "entities", (name) => name);
  for (const [index, entity] of manifest.entities.entries())
    yield* checkEntity(entity, manifest, `entities[${index}]`);
  yield* checkCalls(manifest.queries, "QUERY", "queries");
  yield* checkCalls(manifest.actions, "ACTION", "actions");
  yield* checkPolicies(manifest);
  yield* checkRoutes(manifest);
  yield* checkPlugins(manifest.plugins ?? []);
  yield* checkAuth(manifest);
}
