import { PylonError } from "@pylonsync/protocol";

/** The duration of a lease unless it is renewed, in milliseconds. */
export const LEASE_MS = 30_000;

/** Ends an attempt whose job is no longer this runner's: none of its results count. */
export class LeaseLost extends PylonError {
  constructor(message: string) {
    super("JOB_LOST", message);
  }
}
