import { PylonError } from "@pylonsync/protocol";
import type { ShardOwner } from "./shard-storage.ts";

/** The error of a request to a shard that another replica runs, with that replica. */
export class ShardElsewhereError extends PylonError {
  readonly owner: ShardOwner;

  constructor(owner: ShardOwner) {
    super("SHARD_ELSEWHERE", "Another replica runs this shard, but can't be reached.", {
      hint: "Try again. Replicas connect to each other at PYLON_ADVERTISE_URL: see docs/shards.md.",
      extra: { retry_after_secs: 1 },
    });
    this.owner = owner;
  }
}
