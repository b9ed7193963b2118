import { PylonError } from "@pylonsync/protocol";
import type { FunctionAuth } from "@pylonsync/functions";
import { expect, test } from "bun:test";
import { ADMIN, ANONYMOUS, type Caller } from "../identity/identity.ts";
import { checkCaller } from "./function-auth.ts";

const ann: Caller = { ...ANONYMOUS, userId: "ann" };
const editor: Caller = { ...ann, roles: ["editor"] };
const guest: Caller = { ...ann, isGuest: true };
const callers = { nobody: ANONYMOUS, guest, ann, editor, admin: ADMIN };

function outcomesOf(auth: FunctionAuth | undefined): Record<string, string> {
  const outcomeOf = (caller: Caller): string => {
    try {
      checkCaller("f", auth === undefined ? {} : { auth }, caller);
      return "ok";
    } catch (error) {
      if (error instanceof PylonError) return error.code;
      throw error;
    }
  };
  return Object.fromEntries(
    Object.entries(callers).map(([name, caller]) => [name, outcomeOf(caller)]),
  );
}

const ALL = { nobody: "ok", guest: "ok", ann: "ok", editor: "ok", admin: "ok" };

test.each([
  [undefined, {}],
  ["public", {}],
  ["user", { nobody: "AUTH_REQUIRED" }],
  ["admin", { nobody: "FORBIDDEN", guest: "FORBIDDEN", ann: "FORBIDDEN", editor: "FORBIDDEN" }],
  [
    { roles: ["owner", "editor"] },
    { nobody: "AUTH_REQUIRED", guest: "FORBIDDEN", ann: "FORBIDDEN" },
  ],
  // A policy is asked later, with the arguments.
  ["auth.userId == input.id", {}],
])("auth: %j", (auth, refused) => {
  expect(outcomesOf(auth)).toEqual({ ...ALL, ...refused });
});
