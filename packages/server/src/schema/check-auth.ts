import type { Manifest } from "@pylonsync/sdk";
import { didYouMean } from "./check-names.ts";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import { isUserEntity } from "./schema.ts";

/** Checks the settings of sign-in and sessions. */
export function* checkAuth(manifest: Manifest): Generator<Diagnostic> {
  const { auth } = manifest;
  yield* checkUserEntity(manifest);
  if (auth?.session !== undefined && "cookieCache" in auth.session)
    yield {
      severity: "warning",
      code: "MANIFEST_KEY_WITHOUT_EFFECT",
      message: "auth.session.cookieCache has no effect: the server always looks up the session.",
      path: "auth.session.cookieCache",
      hint: "Remove it.",
    };
  for (const [index, origin] of (auth?.trustedOrigins ?? []).entries()) {
    if (!isOrigin(origin))
      yield errorAt(
        "TRUSTED_ORIGIN_INVALID",
        `"${origin.slice(0, 100)}" is not a valid origin.`,
        `auth.trustedOrigins[${index}]`,
        'Use only scheme, host and port: "https://app.example.com".',
      );
  }
}

/** An app without users needs no entity for them, but a name that is not the default is meant. */
function* checkUserEntity(manifest: Manifest): Generator<Diagnostic> {
  const { auth, entities } = manifest;
  const name = auth?.user?.entity;
  if (name === undefined || name === "User") return;
  if (entities.some((entity) => isUserEntity(entity, manifest))) return;
  yield errorAt(
    "AUTH_ENTITY_NOT_FOUND",
    `auth() names "${name.slice(0, 80)}" as the entity of users, which does not exist.`,
    "auth.user.entity",
    didYouMean(
      name,
      entities.map((entity) => entity.name),
    ),
  );
}

/**
 * Whether the text is an origin as browsers send it in the `Origin` header. `null` is not one:
 * browsers can send it for pages of any origin.
 */
function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}
