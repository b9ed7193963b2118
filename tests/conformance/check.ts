import type { Caller } from "./caller.ts";

/** The callers of a check. */
export interface Wire {
  readonly url: string;
  /** The anonymous caller. */
  readonly nobody: Caller;
  /** Two guests that all checks share, so each check uses unique names for what it writes. */
  readonly ann: Caller;
  readonly bob: Caller;
  /** Null if no admin token was given. */
  readonly admin: Caller | null;
  /** Creates another guest. */
  readonly guest: () => Promise<Caller>;
  /** Returns a text that no other check uses. */
  readonly unique: (prefix: string) => string;
}

/** A check of one guarantee of the wire protocol. It throws a Mismatch if the server breaks it. */
export type Check = (wire: Wire) => Promise<void>;

/** The checks, by the sentence that the table shows. */
export type Family = Readonly<Record<string, Check>>;

/** Thrown by a check that cannot run; the reason is shown. */
export class Skipped extends Error {}

/** @throws Skipped */
export function adminOf({ admin }: Wire): Caller {
  if (admin === null) throw new Skipped("needs --admin-token");
  return admin;
}
