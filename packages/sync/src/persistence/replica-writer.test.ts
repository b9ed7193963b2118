import { expect, test } from "bun:test";
import { systemPlatform } from "../platform/platform.ts";
import { LocalStore } from "../replica/local-store.ts";
import type { Disk, ReplicaHead } from "./disk.ts";
import { ReplicaWriter } from "./replica-writer.ts";

const SESSION = { userId: "ann", tenantId: null, isAdmin: false, isGuest: false, roles: [] };

test("a disk that hangs is given up, and no changes are collected for it", async () => {
  const { promise: late, resolve: giveUp } = Promise.withResolvers<null>();
  const store = new LocalStore();
  const asked: number[] = [];
  const disk: Pick<Disk, "replaceReplica" | "patchReplica"> = {
    replaceReplica: ({ seq }) => {
      asked.push(seq);
      return new Promise(() => undefined);
    },
    patchReplica: ({ seq }) => {
      asked.push(seq);
      return Promise.resolve(true);
    },
  };
  const head = (): ReplicaHead => ({ session: SESSION, epoch: "e", seq: store.cursor.last_seq });
  const writer = new ReplicaWriter({
    platform: systemPlatform,
    store,
    // Nothing else is called on it.
    disk: () => disk as Disk,
    head,
    onApplied: () => undefined,
    inTime: (write) => Promise.race([write, late]),
  });
  writer.begin();
  const first = writer.flush();
  await Promise.resolve();
  store.advanceTo(1);
  const second = writer.flush();
  await Promise.resolve();
  giveUp(null);
  await Promise.all([first, second]);
  store.advanceTo(2);
  await writer.flush();
  expect(asked).toEqual([0]);
  // A snapshot is written again.
  writer.begin();
  void writer.flush();
  await Promise.resolve();
  expect(asked).toEqual([0, 2]);
});
