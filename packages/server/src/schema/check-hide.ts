import type { Manifest, ManifestEntity } from "@pylonsync/sdk";
import type { Diagnostic } from "./diagnostic.ts";
import { isUserEntity } from "./schema.ts";

/**
 * Warns of names in `auth({ user: { hide } })` that do not exist: the field that was meant would be
 * visible.
 */
export function* checkHide(
  entity: ManifestEntity,
  manifest: Pick<Manifest, "auth">,
): Generator<Diagnostic> {
  if (!isUserEntity(entity, manifest)) return;
  // An app may name a field that older versions of Pylon stored in the row.
  const known = new Set([
    "passwordHash",
    ...entity.fields.flatMap(({ name, renamed_from: oldNames = [] }) => [name, ...oldNames]),
  ]);
  for (const [index, name] of (manifest.auth?.user?.hide ?? []).entries()) {
    if (known.has(name)) continue;
    yield {
      severity: "warning",
      code: "AUTH_FIELD_NOT_FOUND",
      message: `auth() hides ${entity.name}.${name.slice(0, 80)}, but this field does not exist.`,
      path: `auth.user.hide[${index}]`,
      hint: "If you meant another field, which is visible now, correct the name; else remove it.",
    };
  }
}
