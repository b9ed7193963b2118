import { expect, test } from "bun:test";
import { ANONYMOUS, type Caller } from "../identity/identity.ts";
import { callerAuth } from "./caller-auth.ts";

const caller = (): Caller => ({
  ...ANONYMOUS,
  userId: "ann",
  roles: ["editor"],
  claims: { team: "a", tags: ["x"] },
});

test("a handler can change nothing that later calls of the session see", () => {
  const session = caller();
  for (let call = 0; call < 2; call += 1) {
    const auth = callerAuth(session);
    expect(auth).toEqual({
      userId: "ann",
      isAdmin: false,
      isGuest: false,
      tenantId: null,
      roles: ["editor"],
      claims: { team: "a", tags: ["x"] },
    });
    for (const path of [[], ["tags"]]) {
      const object = path.reduce<unknown>(
        (value, key) => Reflect.get(Object(value), key),
        auth.claims,
      );
      expect(Reflect.set(Object(object), "0", "admin")).toBe(false);
    }
    expect(Reflect.set(auth.roles, "0", "admin")).toBe(false);
    // The identity itself is the call's own.
    Reflect.set(auth, "userId", "bob");
  }
  expect(session.userId).toBe("ann");
});

test("callers that share roles and claims are protected as well", () => {
  const session = caller();
  callerAuth(session);
  const other = { ...session, roles: ["viewer"] };
  const auth = callerAuth(other);
  expect([Object.isFrozen(auth.roles), Object.isFrozen(auth.claims)]).toEqual([true, true]);
});
