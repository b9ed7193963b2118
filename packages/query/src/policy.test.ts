import { expect, test } from "bun:test";
import {
  checkPolicy,
  compilePredicate,
  hasExists,
  nodesOf,
  normaliseLiterals,
  parsePolicy,
  pathsOf,
  QuerySyntaxError,
  type AuthValues,
  type Env,
  type FieldKind,
  type Root,
  type SchemaShape,
} from "./index.ts";

const auth: AuthValues = {
  userId: "u1",
  isAdmin: false,
  isGuest: false,
  tenantId: null,
  roles: ["editor"],
  apiKeyId: null,
  apiKeyScopes: ["read"],
  isTrustedDevice: false,
  claims: {},
};
const schema: SchemaShape = new Map([
  [
    "Post",
    {
      name: "Post",
      fields: new Map<string, FieldKind>([
        ["id", "id"],
        ["ownerId", "id"],
        ["title", "string"],
        ["public", "bool"],
        ["votes", "int"],
        ["score", "float"],
        ["due", "datetime"],
      ]),
    },
  ],
  [
    "Member",
    {
      name: "Member",
      fields: new Map<string, FieldKind>([
        ["id", "id"],
        ["userId", "id"],
        ["postId", "id"],
        ["since", "datetime"],
      ]),
    },
  ],
]);

function allows(source: string, env: Env = {}): boolean {
  return compilePredicate(parsePolicy(source))({
    auth,
    now: "2026-01-01T00:00:00.000Z",
    data: { ownerId: "u1", title: 'it\'s "x"', public: true, votes: 3, none: null },
    ...env,
  });
}

function syntaxError(source: string): QuerySyntaxError {
  try {
    parsePolicy(source);
  } catch (error) {
    if (error instanceof QuerySyntaxError) return error;
    throw error;
  }
  throw new Error(`Accepted: ${source}`);
}

function problems(source: string, roots: readonly Root[] = ["data"]): string[] {
  return checkPolicy(parsePolicy(source), { schema, entity: "Post", roots }).map(
    ({ message, hint }) => (hint === undefined ? message : `${message} ${hint}`),
  );
}

test("the grammar accepts operators, calls, lists and quotes", () => {
  const yes = [
    "auth.userId == data.ownerId",
    "data.public",
    "!(data.votes > 3) && data.votes >= 3.0",
    "data.votes in [1, 2, 3]",
    "'editor' in auth.roles",
    "auth.roles contains 'editor'",
    'auth.hasRole("editor")',
    'auth.hasAnyRole("x", "editor")',
    "auth.apiKeyScopes contains 'read'",
    "data.title contains '\"x\"'",
    'data.title == "it\'s \\"x\\""',
    "data.title == 'it\\'s \\u0022x\"'",
    "now() >= '2026-01-01T00:00:00.000Z'",
    "data.none == null",
    "data.votes != -1",
    "false || true && !false",
    "(data.votes == 3) == data.public",
  ];
  const no = [
    "data.votes < 3",
    'auth.hasRole("admin")',
    "data.votes in []",
    "true && (false || false)",
    "data.unknown",
    "data.title",
    "!data.public",
  ];
  for (const source of yes) expect([source, allows(source)]).toEqual([source, true]);
  for (const source of no) expect([source, allows(source)]).toEqual([source, false]);
});

test("|| has a lower precedence than &&, and ! the highest", () => {
  expect(allows("true || false && false")).toBe(true);
  expect(allows("(true || false) && false")).toBe(false);
  expect(allows("!false && true")).toBe(true);
});

test("two nulls are not equal: an anonymous caller does not own a row without an owner", () => {
  const env = { auth: { ...auth, userId: null }, data: { ownerId: null } };
  expect(allows("auth.userId == data.ownerId", env)).toBe(false);
  expect(allows("auth.userId != data.ownerId", env)).toBe(true);
  expect(allows("auth.userId in [data.ownerId]", env)).toBe(false);
});

test("names inside exists are the innermost entity's", () => {
  const expr = parsePolicy(
    "exists(Member, postId == data.id && exists(Post, ownerId == auth.userId))",
  );
  expect(hasExists(expr)).toBe(true);
  expect([...pathsOf(expr, "related")]).toEqual(["postId", "ownerId"]);
  expect([...pathsOf(expr, "auth")]).toEqual(["userId"]);
  expect(() => compilePredicate(expr)).toThrow("store");
  expect(
    problems("exists(Member, postId == data.id && exists(Post, ownerId == auth.userId))"),
  ).toEqual([]);
});

test("a syntax error shows its position", () => {
  const error = syntaxError("data.public &&\n  auth.userId = data.ownerId");
  expect(error.position).toBe(29);
  expect(error.message.split("\n").slice(1)).toEqual([
    "    auth.userId = data.ownerId",
    "                ^",
  ]);
  for (const source of [
    "",
    "data.",
    "data.a.b",
    "a == b",
    "data.a ==",
    "(data.a",
    "data.a == 1 == 2",
    "data.a &",
    "'open",
    "exists(Post, true",
    "exists()",
    "auth.hasRole(x)",
    'auth.hasRole("a", "b")',
    "now",
    "data.a; drop",
  ]) {
    expect(syntaxError(source).position).toBeWithin(0, source.length + 1);
  }
  expect(syntaxError("data.author.name == 1").message).toContain("exists(");
});

test("T17: a policy that is too large or too deep is rejected", () => {
  expect(syntaxError("(".repeat(100_000)).message).toContain("256");
  expect(syntaxError("!".repeat(100_000)).message).toContain("256");
  expect(
    syntaxError(Array.from({ length: 200 }, () => "data.a == 1").join(" || ")).message,
  ).toContain("256");
  expect(syntaxError("exists(A, exists(A, exists(A, exists(A, true))))").message).toContain("3");
});

test("a valid policy has no problems", () => {
  for (const source of [
    "auth.userId == data.ownerId",
    "data.votes < data.score",
    "data.title == data.ownerId",
    "data.due < now()",
    'data.due < "2026-01-01"',
    "data.due in ['2026-01-01']",
    "data.title == null",
    "auth.isAdmin || data.public",
    "exists(Member, userId == auth.userId && since <= data.due)",
    "(data.votes > 1) == data.public",
  ]) {
    expect([source, problems(source)]).toEqual([source, []]);
  }
});

test("an error is reported, with a suggestion", () => {
  const cases: [string, RegExp][] = [
    ["data.ownerid == auth.userId", /no field "ownerid".*Did you mean "ownerId"/],
    ["auth.userid == data.ownerId", /auth has no "userid".*"userId"/],
    ["exists(Membr, true)", /no entity "Membr".*"Member"/],
    ["exists(Member, ownerId == 'x')", /Member has no field "ownerId"/],
    ["data.votes == '3'", /number is compared with a text/],
    ["data.due < 'soon'", /datetime is compared with a text/],
    ["data.public > false", /bool can't be ordered/],
    ["data.votes < null", /null can't be ordered/],
    ["old.title == 'x'", /"old\." can't be used here/],
    ["input.x == 1", /"input\." can't be used here/],
    ["data.title", /not a condition/],
    ["!data.votes", /not a condition/],
    ["!'x'", /not a condition/],
    ["data.public && 'x'", /not a condition/],
    ["data.public || null", /not a condition/],
    ["auth.roles == 'admin'", /list/],
    ["auth.roles == null", /list/],
    ["null in [data.title]", /null is never in a list/],
    ["data.title in data.ownerId", /followed by a list/],
    ["data.votes in auth.roles", /lists of auth contain texts/],
    ["data.votes in ['1']", /never in a list of other values/],
    ["data.votes contains '1'", /requires texts/],
  ];
  for (const [source, message] of cases)
    expect([source, problems(source).join("; ")]).toEqual([source, expect.stringMatching(message)]);
  expect(problems("old.title == data.title", ["data", "old"])).toEqual([]);
});

test("P1: a column compared with itself is an error that explains which row is which", () => {
  const cases: [string, RegExp][] = [
    [
      "exists(Member, userId == userId)",
      new RegExp(
        "userId is compared with itself: on both sides it is Member\\.userId.*" +
          "bare name is a field of Member\\. " +
          "`data\\.` is the row that the policy is about \\(Post\\)",
      ),
    ],
    ["exists(Post, exists(Member, userId == userId && since == data.due))", /Member\.userId/],
    ["exists(Post, ownerId == ownerId)", /write ownerId == data\.ownerId/],
    ["exists(Member, userId != userId)", /itself/],
    ["exists(Member, !(userId == userId))", /itself/],
    ["exists(Member, userId in [userId, 'x'])", /itself/],
    ["exists(Member, userId contains userId)", /itself/],
    ["data.votes == data.votes", /data\.votes is compared with itself.*another field/],
    ["data.votes <= data.votes", /itself/],
    ["auth.userId == auth.userId", /itself/],
    ["old.title == old.title", /itself/],
  ];
  for (const [source, message] of cases)
    expect([source, problems(source, ["data", "old"]).join("; ")]).toEqual([
      source,
      expect.stringMatching(message),
    ]);
  expect(problems("exists(Member, userId == data.ownerId)")).toEqual([]);
  expect(problems("old.title == data.title", ["data", "old"])).toEqual([]);
});

test("a row that has no name is rejected with the available names", () => {
  for (const source of ["exists(Member, userId == Post.ownerId)", "Post.votes > 1"])
    expect(() => parsePolicy(source)).toThrow(/"Post\." can't be read: write data\., old\./);
  expect(() => parsePolicy("exists(Post, exists(Post, exists(Member, id == Post.id)))")).toThrow(
    /name one exists\(Post as other, \.\.\.\)/,
  );
  expect(() => parsePolicy("exists(Post as data, true)")).toThrow(/is reserved/);
});

test("the row of an outer exists is named by its entity, or by an alias", () => {
  const named = (source: string): object[] =>
    [...nodesOf(parsePolicy(source))].flatMap((node) =>
      node.kind === "outer" ? [{ up: node.up, name: node.name }] : [],
    );
  expect(named("exists(Post, exists(Member, userId == Post.ownerId))")).toEqual([
    { up: 1, name: "ownerId" },
  ]);
  expect(
    named("exists(Post as p, exists(Post, exists(Member, userId == p.ownerId && id == Post.id)))"),
  ).toEqual([
    { up: 2, name: "ownerId" },
    { up: 1, name: "id" },
  ]);
  expect(named("exists(Post, Post.ownerId == auth.userId)")).toEqual([]);
  expect(problems("exists(Post, exists(Member, userId == Post.ownrId))")).toEqual([
    expect.stringContaining('Post has no field "ownrId"') as string,
  ]);
  expect(problems("exists(Post, exists(Member, userId == Post.votes))")).toHaveLength(1);
});

test("dates written as text are converted to the stored form, wherever compared", () => {
  const scope = { schema, entity: "Post", roots: ["data"] as const };
  const text = JSON.stringify(
    normaliseLiterals(
      parsePolicy(
        "!(data.due < '2026-01-01') && exists(Member, '2026-01-02' >= since) || " +
          "data.due in ['2026-01-03'] || data.title == '2026-01-04'",
      ),
      scope,
    ),
  );
  for (const day of ["2026-01-01", "2026-01-02", "2026-01-03"])
    expect(text).toContain(`"${day}T00:00:00.000Z"`);
  expect(text).toContain('"2026-01-04"');
});
