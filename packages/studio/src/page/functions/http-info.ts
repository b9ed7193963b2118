/** An HTTP function of the app, as `GET /api/fn/http` describes it. */
export interface HttpFunctionInfo {
  readonly name: string;
  /** `GET, POST`, or `any method`. */
  readonly methods: string;
  readonly path: string;
  /** A word, a policy, or the roles of which a caller needs one. */
  readonly auth: string | { readonly roles: readonly string[] };
  /** Whether it accepts the session cookie of a browser. */
  readonly cookies: boolean;
}

const WORDS: ReadonlyMap<string, string> = new Map([
  ["public", "everyone"],
  ["user", "signed-in users"],
  ["admin", "the admin"],
]);

/** Says who may call an HTTP function, in words. */
export function accessText({ auth, cookies }: HttpFunctionInfo): string {
  const who =
    typeof auth === "string"
      ? (WORDS.get(auth) ?? `callers with: ${auth}`)
      : `users with the role ${auth.roles.join(" or ")}`;
  return cookies ? `${who}, also by cookie` : who;
}
