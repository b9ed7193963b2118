/** A valid request, to be sent as it is or with something invalid in it. */
export interface Template {
  readonly method: string;
  /** `:name` is replaced by a known id. */
  readonly path: string;
  readonly body?: unknown;
}

const CODE = "123456";
const EMAIL = "fuzz@example.com";
const PASSWORD = "correct horse battery";

const bare = (method: string, ...paths: readonly string[]): Template[] =>
  paths.map((path) => ({ method, path }));
const withBody = (method: string, path: string, ...bodies: readonly unknown[]): Template[] =>
  bodies.map((body) => ({ method, path, body }));

const ROW = { name: "a", n: 1, f: 1.5, ok: true, due: "2026-01-31T12:00:00Z", parentId: null };
const FILTER = {
  n: { $gt: 0, $in: [1, 2] },
  $or: [{ name: { $like: "a" } }, { due: { $lt: "2027-01-01" } }],
  $not: { ok: false },
  $order: { n: "desc" },
  $limit: 5,
  $offset: 0,
};
const INSERT = { op: "insert", entity: "Item", data: ROW };
const CHANGE = { entity: "Item", row_id: "row-1", kind: "insert", data: ROW, op_id: "op-1" };

/** Routes by subject. */
export const GROUPS = {
  data: [
    ...bare(
      "GET",
      "/api/entities/Item",
      "/api/entities/Item?limit=2&offset=1",
      "/api/entities/Item/cursor?after=a&limit=2",
      "/api/entities/Item/:id",
      "/api/lookup/Item/name/a",
      "/api/lookup/Item/n/1",
      "/api/lookup/Item/due/2026-01-31",
      "/api/export",
      "/api/export/Item",
    ),
    ...withBody("POST", "/api/entities/Item", ROW, { ...ROW, id: "row-2" }),
    ...withBody("PATCH", "/api/entities/Item/:id", { n: 2 }, { ...ROW, name: "b" }),
    ...bare("DELETE", "/api/entities/Item/:id"),
    ...withBody("POST", "/api/query", {
      Item: { where: FILTER, include: { parent: {} }, limit: 3 },
    }),
    ...withBody("POST", "/api/query/Item", {}, FILTER),
    ...withBody("POST", "/api/aggregate/Item", {
      count: true,
      sum: ["n", "f"],
      avg: ["f"],
      min: ["due"],
      max: ["name"],
      countDistinct: ["ok"],
      groupBy: ["ok", { field: "due", bucket: "week" }],
      where: { n: 1 },
    }),
    ...withBody("POST", "/api/link", {
      entity: "Item",
      id: ":id",
      relation: "parent",
      target_id: ":id",
    }),
    ...withBody("POST", "/api/unlink", { entity: "Item", id: ":id", relation: "parent" }),
    ...withBody("POST", "/api/transact", [
      INSERT,
      { op: "update", entity: "Item", id: ":id", data: { n: 3 } },
      { op: "delete", entity: "Item", id: ":id" },
    ]),
    ...withBody("POST", "/api/batch", {
      operations: [INSERT, { op: "update", entity: "Item", id: ":id", data: { n: 3 } }],
    }),
    ...withBody("POST", "/api/import", { entities: { Item: [ROW] } }),
    ...withBody("POST", "/api/import/Item", { csv: "name,n\na,1\n" }),
  ],
  sync: [
    ...bare(
      "GET",
      "/api/sync/pull?since=0",
      "/api/sync/pull?since=0&limit=3",
      "/api/sync/pull?since=1&epoch=x",
      "/api/sync/pull?since=0&limit=1&page=WzAsIkl0ZW0iLG51bGxd",
      "/events?since=0",
      "/ws?since=0",
    ),
    ...withBody(
      "POST",
      "/api/sync/push",
      { changes: [CHANGE], client_id: "c", results: true },
      { changes: [CHANGE, { ...CHANGE, kind: "update", op_id: "op-2" }] },
      { changes: [{ entity: "Item", row_id: ":id", kind: "delete" }], results: true },
    ),
  ],
  functions: [
    ...bare("GET", "/api/fn", "/api/webhooks/hook?a=1"),
    ...withBody(
      "POST",
      "/api/fn/echo",
      { text: "a", n: 1, list: ["a"], at: "2026-01-31", either: 1, inner: { a: true } },
      {},
    ),
    ...withBody("POST", "/api/fn/search", { filter: FILTER, graph: { Item: { limit: 1 } } }),
    ...withBody("POST", "/api/fn/write", { id: "row-3", data: ROW }),
    ...withBody("POST", "/api/fn/page", { cursor: null, numItems: 2 }),
    ...withBody("POST", "/api/webhooks/hook", { any: "thing" }),
    ...withBody("POST", "/api/fn/refuse", {}),
  ],
  auth: [
    ...bare(
      "GET",
      "/api/auth/me",
      "/api/auth/session",
      "/api/auth/sessions",
      "/api/auth/trusted-devices",
      "/api/auth/passkey/keys",
      "/api/auth/providers",
      "/api/auth/login/google?callback=/&error_callback=/&redirect=1",
      "/api/auth/callback/google?state=x&code=y",
      "/api/auth/accounts",
      "/api/auth/account/export",
      "/api/auth/audit?limit=5",
      "/api/auth/audit/tenant",
      "/api/auth/api-keys",
      "/api/auth/orgs",
      "/api/auth/orgs/:org",
      "/api/auth/orgs/:org/members",
      "/api/auth/orgs/:org/invites",
      "/api/auth/magic-link/verify?token=x",
      "/api/admin/users/:user/export",
    ),
    ...bare("POST", "/api/auth/guest", "/api/auth/refresh", "/api/auth/jwt"),
    ...bare(
      "DELETE",
      "/api/auth/session",
      "/api/auth/sessions?others=1",
      "/api/auth/sessions/x",
      "/api/auth/trusted-devices/x",
      "/api/auth/passkey/keys/x",
      "/api/auth/accounts/x",
      "/api/auth/api-keys/x",
      "/api/auth/orgs/:org",
      "/api/auth/orgs/:org/members/:user",
      "/api/auth/orgs/:org/invites/x",
      "/api/auth/account",
      "/api/admin/users/x",
      "/api/admin/users/x/sessions",
    ),
    ...withBody("POST", "/api/auth/session", { user_id: ":user" }),
    ...withBody("POST", "/api/auth/upgrade", { user_id: ":user", guest_token: "x" }),
    ...withBody("POST", "/api/auth/password/register", {
      email: EMAIL,
      password: PASSWORD,
      displayName: "A",
    }),
    ...withBody("POST", "/api/auth/password/register/confirm", {
      email: EMAIL,
      code: CODE,
      sign_up_token: "x",
    }),
    ...withBody("POST", "/api/auth/password/login", { email: EMAIL, password: PASSWORD }),
    ...withBody("POST", "/api/auth/password/change", {
      current_password: PASSWORD,
      new_password: PASSWORD,
    }),
    ...withBody("POST", "/api/auth/password/reset/request", { email: EMAIL, callback: "/" }),
    ...withBody("POST", "/api/auth/password/reset/complete", {
      token: "x",
      new_password: PASSWORD,
    }),
    ...withBody("POST", "/api/auth/magic/send", { email: EMAIL }),
    ...withBody("POST", "/api/auth/magic/verify", { email: EMAIL, code: CODE }),
    ...withBody("POST", "/api/auth/magic-link/send", {
      email: EMAIL,
      callback: "/",
      error_callback: "/",
    }),
    ...withBody("POST", "/api/auth/magic-link/verify", { token: "x" }),
    ...bare("POST", "/api/auth/email/send-verification"),
    ...withBody("POST", "/api/auth/email/verify", { code: CODE }),
    ...withBody("POST", "/api/auth/email/change/request", { new_email: EMAIL, password: PASSWORD }),
    ...withBody("POST", "/api/auth/email/change/confirm", { code: CODE }),
    ...withBody("POST", "/api/auth/totp/enroll", { password: PASSWORD }),
    ...withBody("POST", "/api/auth/totp/verify", {
      code: CODE,
      mfa_token: "x",
      trust_device: true,
    }),
    ...withBody("POST", "/api/auth/totp/disable", { code: CODE }),
    ...withBody("POST", "/api/auth/totp/backup-codes/regenerate", { code: CODE }),
    ...withBody("POST", "/api/auth/passkey/register/begin", { password: PASSWORD }),
    ...withBody("POST", "/api/auth/passkey/register/finish", {
      name: "k",
      credential: {
        id: "AA",
        rawId: "AA",
        type: "public-key",
        response: { clientDataJSON: "e30" },
      },
    }),
    ...withBody("POST", "/api/auth/passkey/login/begin", {}),
    ...withBody("POST", "/api/auth/passkey/login/finish", {
      credential: {
        id: "AA",
        rawId: "AA",
        type: "public-key",
        response: { clientDataJSON: "e30", authenticatorData: "AA", signature: "AA" },
      },
    }),
    ...withBody("POST", "/api/auth/callback/google", { state: "x", code: "y" }),
    ...withBody("POST", "/api/auth/oauth/link/google", { password: PASSWORD }),
    ...bare("POST", "/api/auth/oauth/refresh/google", "/api/auth/oauth/pending"),
    ...withBody("POST", "/api/auth/api-keys", {
      name: "k",
      scopes: ["read", "write:Item"],
      expires: "2027-01-01",
      password: PASSWORD,
    }),
    ...withBody("POST", "/api/auth/orgs", { name: "Org" }),
    ...withBody("PATCH", "/api/auth/orgs/:org", { name: "Other" }),
    ...withBody("POST", "/api/auth/orgs/:org/invites", { email: EMAIL, role: "member" }),
    ...withBody("PATCH", "/api/auth/orgs/:org/members/:user", { role: "admin" }),
    ...bare("GET", "/api/auth/invites/x"),
    ...bare("POST", "/api/auth/invites/x/accept"),
    ...withBody("POST", "/api/auth/select-org", { org_id: ":org", rotate: false }),
  ],
  files: [
    ...withBody("POST", "/api/files/upload?entity=Item&field=picture", "some content"),
    ...withBody(
      "POST",
      "/api/files/upload",
      '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n' +
        "--x--\r\n",
    ),
    ...withBody("POST", "/api/files/presign", {
      name: "a.txt",
      content_type: "text/plain",
      size: 5,
      entity: "Item",
      field: "picture",
      parts: 1,
    }),
    ...withBody("POST", "/api/files/:file/complete", { parts: [{ number: 1, etag: "x" }] }),
    ...withBody("PUT", "/api/files/:file/content?key=x", "hello"),
    ...bare("GET", "/api/files/:file", "/api/files/:file?download=1&redirect=1"),
    ...bare("HEAD", "/api/files/:file"),
    ...bare("DELETE", "/api/files/:file"),
  ],
  rooms: [
    ...bare("GET", "/api/rooms", "/api/rooms/lobby"),
    ...withBody("POST", "/api/rooms/join", { room: "lobby", data: { x: 1 } }),
    ...withBody("POST", "/api/rooms/leave", { room: "lobby" }),
    ...withBody("POST", "/api/rooms/presence", { room: "lobby", data: { x: 2 } }),
    ...withBody("POST", "/api/rooms/broadcast", { room: "lobby", topic: "t", data: "hi" }),
    ...bare("GET", "/ws?since=0"),
  ],
  observe: [
    ...bare(
      "GET",
      "/health",
      "/readyz",
      "/metrics",
      "/api/manifest",
      "/api/admin/logs?level=error&limit=5&follow=0",
      "/api/shards",
      "/shards",
      "/",
      "/nowhere",
      "/api/nowhere",
      "/studio",
      "/studio/studio.js",
      "/studio/mail",
      "/auth/assets/auth.js",
      "/.well-known/x",
    ),
    ...bare("PROPFIND", "/health", "/api/entities/Item"),
    ...bare("OPTIONS", "/api/entities/Item", "/nowhere"),
    ...bare("HEAD", "/health", "/nowhere", "/api/entities/Item"),
  ],
} as const satisfies Readonly<Record<string, readonly Template[]>>;

export type Group = keyof typeof GROUPS;
export const GROUP_NAMES = Object.keys(GROUPS) as Group[];

/** The frames that clients send on a socket. */
export const FRAMES: readonly unknown[] = [
  { type: "presence", data: { x: 1 } },
  { type: "presence", room: "lobby", data: { x: 1 } },
  { type: "topic", topic: "t", room: "lobby", data: "hi" },
  { type: "join", room: "lobby" },
  { type: "leave", room: "lobby" },
  { type: "ping" },
];
