import { expect, test } from "bun:test";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { scratchStore } from "../store/testing/scratch-store.ts";
import type { Store } from "../store/store.ts";
import { ReplicaLease } from "./replica-lease.ts";
import { ShardStorage } from "./shard-storage.ts";

/** The store as one that replicas share. */
function shared(store: Store): Store {
  return new Proxy(store, {
    get(target, name): unknown {
      if (name === "dialect") return "postgres";
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

test("a replica that was unreachable once, and answers again, keeps its shards", async () => {
  await using scratch = scratchStore();
  const platform = new ManualPlatform();
  const [here, there] = ["here", "there"].map(
    (id) =>
      new ShardStorage(shared(scratch.store), platform, { id, address: () => `http://${id}` }),
  );
  if (here === undefined || there === undefined) throw new Error("There are two.");
  const lease = new ReplicaLease(here, platform, {
    shards: () => [],
    lost: () => undefined,
    failed: () => undefined,
  });
  await there.open("arena");
  // So long that one that is found dead loses its shards; its lease lasts for longer.
  platform.advance(3_000);
  lease.probed("there", "gone");
  lease.probed("there", "alive");
  expect(await lease.open("arena")).toMatchObject({ owner: { replica: "there" } });
  lease.probed("there", "gone");
  // What did not answer in time says nothing of one that was found dead.
  lease.probed("there", "unknown");
  expect(await lease.open("arena")).toEqual({ state: null });
});
