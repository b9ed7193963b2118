import type { Manifest, ManifestEntity } from "@pylonsync/sdk";
import type { Diagnostic } from "./diagnostic.ts";
import { isUserEntity } from "./schema.ts";

/** What `auth({ user: { hide } })` names must be there, or a field is shown that was meant. */
export function* checkHide(
  entity: ManifestEntity,
  manifest: Pick<Manifest, "auth">,
): Generator<Diagnostic> {
  if (!isUserEntity(entity, manifest)) return;
  // An app may name what older versions of Pylon kept in the row.
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
