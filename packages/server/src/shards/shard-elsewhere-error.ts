import { PylonError } from "@pylonsync/protocol";
import type { ShardOwner } from "./shard-storage.ts";

/** Another replica runs the shard: what is meant for it goes there. */
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
