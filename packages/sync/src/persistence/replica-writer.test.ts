import { expect, test } from "bun:test";
import { codeNotLoaded } from "../connection/errors.ts";
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

test("rows whose code can't be loaded are written later, and stored ones are kept", async () => {
  const store = new LocalStore();
  const timers: { readonly ms: number; readonly run: () => void }[] = [];
  const written: string[] = [];
  let hasCode = false;
  const write = <T>(what: string, result: T): Promise<T> => {
    if (!hasCode) return Promise.reject(codeNotLoaded(new TypeError("Failed to fetch")));
    written.push(what);
    return Promise.resolve(result);
  };
  const disk: Pick<Disk, "replaceReplica" | "patchReplica" | "dropReplica"> = {
    replaceReplica: ({ seq }, rows) => write(`all ${[...rows].length} rows at ${seq}`, undefined),
    patchReplica: ({ seq }, _from, rows) => write(`${rows.length} rows at ${seq}`, true),
    dropReplica: () => Promise.resolve(void written.push("nothing")),
  };
  const writer = new ReplicaWriter({
    platform: {
      ...systemPlatform,
      after: (ms, run) => {
        timers.push({ ms, run });
        return () => undefined;
      },
    },
    store,
    // Nothing else is called on it.
    disk: () => disk as Disk,
    head: () => ({ session: SESSION, epoch: "e", seq: store.cursor.last_seq }),
    onApplied: () => undefined,
    inTime: (work) => work,
  });
  writer.resume(0, false);
  const insert = (seq: number): void =>
    store.applyChanges([{ seq, entity: "Todo", row_id: `${seq}`, kind: "insert", data: {} }]);
  insert(1);
  await writer.flush();
  expect([written, timers.at(-1)?.ms]).toEqual([[], 5_000]);
  hasCode = true;
  timers.at(-1)?.run();
  await writer.flush();
  insert(2);
  await writer.flush();
  expect(written).toEqual(["all 1 rows at 1", "1 rows at 2"]);
});
