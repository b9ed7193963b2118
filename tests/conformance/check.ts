import type { Caller } from "./caller.ts";

/** The callers of a check. */
export interface Wire {
  readonly url: string;
  /** Nobody is signed in. */
  readonly nobody: Caller;
  /** Two guests, who are the same for all checks: what a check writes has names of its own. */
  readonly ann: Caller;
  readonly bob: Caller;
  /** Null where no admin token was given. */
  readonly admin: Caller | null;
  /** Another guest. */
  readonly guest: () => Promise<Caller>;
  /** A text that no other check has. */
  readonly unique: (prefix: string) => string;
}

/** One promise of the wire. It throws a Mismatch where the server does not keep it. */
export type Check = (wire: Wire) => Promise<void>;

/** Checks by the sentence that the table shows. */
export type Family = Readonly<Record<string, Check>>;

/** Thrown by a check that can't be made; the reason is shown. */
export class Skipped extends Error {}

/** @throws Skipped */
export function adminOf({ admin }: Wire): Caller {
  if (admin === null) throw new Skipped("needs --admin-token");
  return admin;
}
