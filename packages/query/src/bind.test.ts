import { expect, test } from "bun:test";
import {
  and,
  bind,
  conjuncts,
  FALSE,
  not,
  or,
  parsePolicy,
  TRUE,
  type AuthValues,
  type Expr,
} from "./index.ts";

const auth: AuthValues = {
  userId: "u1",
  isAdmin: false,
  isGuest: false,
  tenantId: null,
  roles: ["a", "b"],
  apiKeyId: null,
  apiKeyScopes: [],
  isTrustedDevice: false,
  claims: {},
};

/** Without the positions in the source, which do not affect the meaning. */
function bare(expr: Expr): unknown {
  return JSON.parse(
    JSON.stringify(expr, (key, value: unknown) => (key === "at" ? undefined : value)),
  );
}
function bound(source: string): unknown {
  return bare(bind(parsePolicy(source), { auth, now: "2026-01-01T00:00:00.000Z" }));
}
const parsed = (source: string): unknown => bare(parsePolicy(source));

test("known values are substituted and folded, the rest stays", () => {
  expect(bound("auth.userId == data.ownerId")).toEqual(parsed("'u1' == data.ownerId"));
  expect(bound("data.role in auth.roles")).toEqual(parsed("data.role in ['a', 'b']"));
  expect(bound("data.role in auth.apiKeyScopes")).toEqual(FALSE);
  expect(bound("auth.isAdmin || data.public")).toEqual(parsed("data.public"));
  expect(bound("auth.userId == 'u1' || data.public")).toEqual(TRUE);
  expect(bound("!auth.isAdmin && now() > data.at")).toEqual(
    parsed("'2026-01-01T00:00:00.000Z' > data.at"),
  );
});

test("an unknown that turns out to be null equals nothing, on either side and in a list", () => {
  expect(bound("auth.tenantId == data.tenantId")).toEqual(FALSE);
  expect(bound("data.tenantId != auth.tenantId")).toEqual(TRUE);
  expect(bound("auth.tenantId == null")).toEqual(TRUE);
  expect(bound("data.tenantId in [auth.tenantId]")).toEqual(FALSE);
  expect(bound("data.tenantId in [auth.tenantId, null]")).toEqual(
    parsed("data.tenantId in [null]"),
  );
  expect(bound("data.title contains auth.tenantId")).toEqual(FALSE);
});

test("exists keeps what only the store can evaluate, and is FALSE if unsatisfiable", () => {
  expect(bound("exists(Member, userId == auth.userId && postId == data.id)")).toEqual(
    parsed("exists(Member, userId == 'u1' && postId == data.id)"),
  );
  expect(bound("exists(Member, tenantId == auth.tenantId)")).toEqual(FALSE);
  expect(bound("exists(Member, !auth.isAdmin)")).toEqual({
    kind: "exists",
    entity: "Member",
    where: TRUE,
  });
  expect(
    bare(bind(parsePolicy("exists(Member, userId == 'x')"), { related: { userId: "x" } })),
  ).toEqual(parsed("exists(Member, userId == 'x')"));
});

test("a list in place of a value, as an input may contain it, is equal to nothing", () => {
  const withInput = (source: string): Expr =>
    bind(parsePolicy(source), { input: { id: ["a"], text: "a", nested: { a: 1 } } });
  expect(withInput("exists(Post, ownerId == input.id)")).toEqual(FALSE);
  expect(withInput("exists(Post, title contains input.id)")).toEqual(FALSE);
  expect(withInput("exists(Post, ownerId in input.text)")).toEqual(FALSE);
  expect(bare(withInput("exists(Post, ownerId in input.id)"))).toEqual(
    parsed("exists(Post, ownerId in ['a'])"),
  );
});

test("and, or and not keep trees small", () => {
  const a = parsePolicy("data.a");
  const b = parsePolicy("data.b");
  expect(and()).toEqual(TRUE);
  expect(or()).toEqual(FALSE);
  expect(and(TRUE, a)).toBe(a);
  expect(and(a, FALSE)).toEqual(FALSE);
  expect(or(a, TRUE)).toEqual(TRUE);
  expect(not(not(a))).toBe(a);
  expect(conjuncts(and(a, and(b, a)))).toEqual([a, b, a]);
  expect(conjuncts(or(a, b))).toHaveLength(1);
});
