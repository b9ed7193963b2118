import { expect, test } from "bun:test";
import { ANONYMOUS } from "../identity/identity.ts";
import { ManualPlatform } from "../testing/manual-platform.ts";
import { ShardElsewhereError } from "./shard-elsewhere-error.ts";
import { ShardRelay, type RelaySocket } from "./shard-relay.ts";
import { ShardRelays, type RelayedJoin } from "./shard-relays.ts";
import { SILENT_MS } from "./replica-silence.ts";
import { OUTLET } from "./testing/recorded-shards.ts";
import type { ShardOwner } from "./shard-storage.ts";

const owner: ShardOwner = { replica: "other", address: "http://other", leaseUntil: Infinity };
const join: RelayedJoin = {
  shardId: "arena",
  subscriberId: "ann",
  role: "player",
  identity: { caller: { ...ANONYMOUS, userId: "ann" }, sessionId: "s1", expiresAt: Infinity },
  isInvited: false,
  outlet: OUTLET,
  client: {
    sendText: () => 1,
    sendBinary: () => 1,
    getBufferedAmount: () => 0,
    close: () => undefined,
  },
  isGone: () => false,
};

/** Relays to a replica that runs the shard, and whose lease was not renewed for some time. */
function relaysTo(platform: ManualPlatform): {
  readonly relays: ShardRelays;
  readonly probes: string[];
} {
  const probes: string[] = [];
  const relays = new ShardRelays(
    {
      join: () => Promise.reject(new ShardElsewhereError(owner)),
      ownerOf: () => Promise.resolve(owner),
      probed: () => undefined,
      replicaSilences: () => Promise.resolve(new Map([[owner.replica, SILENT_MS]])),
      tokens: { sign: () => Promise.resolve("token") },
    },
    {
      openSocket: () => openSocket(),
      probe: (address) => Promise.resolve(probes.push(address)).then(() => "alive"),
      fetch: () => Promise.reject(new Error("There are no requests.")),
    },
    platform,
  );
  return { relays, probes };
}

/** A socket whose first frame arrives once it is listened to. */
function openSocket(): RelaySocket {
  const socket: RelaySocket = {
    binaryType: "blob",
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send: () => undefined,
    close: () => undefined,
  };
  setImmediate(() => socket.onmessage?.({ data: '{"tick":1,"snapshot":{}}' }));
  return socket;
}

test("other replicas are checked only while clients are relayed", async () => {
  const platform = new ManualPlatform();
  const { relays, probes } = relaysTo(platform);
  expect(platform.timers).toBe(0);
  const entered = [await relays.enter(join), await relays.enter(join)];
  expect([relays.size, platform.timers]).toEqual([2, 1]);
  const joined = probes.length;
  platform.advance(1_000);
  await new Promise(setImmediate);
  expect(probes.length).toBeGreaterThan(joined);
  for (const relay of entered) {
    expect(platform.timers).toBe(1);
    if (relay instanceof ShardRelay) relay.close();
  }
  expect([relays.size, platform.timers]).toEqual([0, 0]);
  await relays.enter(join);
  relays.stop();
  expect([relays.size, platform.timers]).toEqual([0, 0]);
});
