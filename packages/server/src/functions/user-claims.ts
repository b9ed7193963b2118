import type { UserClaims } from "@pylonsync/functions";
import { PylonError } from "@pylonsync/protocol";
import { setUserClaims, userClaims } from "../auth/users/user-claims.ts";
import type { Platform } from "../platform.ts";
import type { Caller } from "../identity/identity.ts";
import type { Reader, Transaction } from "../store/store.ts";

const MAX_USER_ID = 256;

/** Returns `ctx.claims` of a mutation, which is part of its transaction. */
export function transactionClaims(tx: Transaction, { now }: Pick<Platform, "now">): UserClaims {
  return {
    get: async (userId) => userClaims(tx, checkedUser(userId)),
    set: async (userId, claims) => {
      await setUserClaims(tx, checkedUser(userId), claims, now());
    },
  };
}

/**
 * Returns a user with their stored claims, as in a session of that user.
 *
 * @throws PylonError INVALID_ARGS
 */
export async function withClaims(store: Reader, caller: Caller): Promise<Caller> {
  if (caller.userId === null) return caller;
  const kept = await userClaims(store, checkedUser(caller.userId));
  return { ...caller, claims: { ...caller.claims, ...kept } };
}

function checkedUser(userId: unknown): string {
  if (typeof userId === "string" && userId !== "" && userId.length <= MAX_USER_ID) return userId;
  throw new PylonError("INVALID_ARGS", "Claims require the id of a user.", { field: "userId" });
}
