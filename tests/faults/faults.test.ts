import { expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  type Platform,
  type Socket,
  type SyncEngine,
} from "@pylonsync/sync";
import { contents, faultyFetch, socketsInto } from "../support/bad-network.ts";
import { TestClient, until } from "../support/client.ts";
import { randomOf } from "../support/random.ts";
import { appOf, startServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "faults",
    version: "1.0.0",
    entities: [
      entity("Item", { n: field.int(), by: field.string(), ownerId: field.string().owner() }),
    ],
    policies: [policy({ name: "own", entity: "Item", allow: "auth.userId == data.ownerId" })],
  }),
);

const CLIENTS = 3;
const OPERATIONS = 60;

/**
 * A network that loses requests before and after the server handles them, delays them, and cuts
 * sockets.
 */
class BadNetwork {
  isHealed = false;
  readonly #random: () => number;
  readonly #sockets = new Set<Socket>();

  constructor(random: () => number) {
    this.#random = random;
  }

  platform(): Partial<Platform> {
    return {
      fetch: faultyFetch((what) => this.#fault(what)),
      openSocket: socketsInto(this.#sockets),
    };
  }

  /** Closes every open socket as if the connection was lost. */
  cutSockets(): void {
    for (const socket of this.#sockets) {
      const { onclose } = socket;
      socket.onmessage = null;
      socket.close();
      onclose?.({ code: 1006, reason: "" });
    }
    this.#sockets.clear();
  }

  async #fault(what: string): Promise<void> {
    if (this.isHealed) return;
    if (this.#random() < 0.3) await Bun.sleep(this.#random() * 15);
    if (this.#random() < 0.25) throw new TypeError(what);
  }
}

/**
 * Writes at random on several devices, over connections that are cut. @returns the ids that remain
 */
async function writeAtRandom(
  engines: readonly SyncEngine[],
  {
    random,
    network,
    ownerId,
  }: { readonly random: () => number; readonly network: BadNetwork; readonly ownerId: string },
): Promise<string[]> {
  const inserted = new Set<string>();
  const deleted = new Set<string>();
  for (let step = 0; step < OPERATIONS; step += 1) {
    const by = Math.floor(random() * CLIENTS);
    const engine = engines[by] as SyncEngine;
    const rows = engine.store.list("Item");
    const row = rows[Math.floor(random() * rows.length)];
    const dice = random();
    if (row === undefined || dice < 0.5)
      inserted.add(await engine.insert("Item", { n: step, by: String(by), ownerId }));
    else if (dice < 0.8) await engine.update("Item", row.id, { n: 1000 + step });
    else {
      await engine.delete("Item", row.id);
      deleted.add(row.id);
    }
    if (random() < 0.1) network.cutSockets();
    await Bun.sleep(random() * 8);
  }
  return [...inserted].filter((id) => !deleted.has(id)).toSorted();
}

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`after a bad network replicas are equal, and no write is lost (seed ${seed})`, async () => {
    const random = randomOf(seed);
    const server = await startServer(app);
    const owner = await TestClient.guest(server.url);
    const network = new BadNetwork(random);
    const engines: SyncEngine[] = Array.from({ length: CLIENTS }, () =>
      createSyncEngine(server.url, {
        token: owner.token ?? "",
        reconnectDelay: 5,
        storage: createWriteThroughStorage({}, () => undefined),
        platform: network.platform(),
      }),
    );
    const refused: string[] = [];
    for (const engine of engines) {
      engine.onError(({ code, kind }) => refused.push(`${kind} ${code}`));
      engine.start();
    }

    const expected = await writeAtRandom(engines, { random, network, ownerId: owner.userId });

    network.isHealed = true;
    await until(
      () => engines.every((engine) => engine.connected && engine.status.pending === 0),
      20_000,
    );
    const truth = contents(
      JSON.parse((await owner.request("POST", "/api/query/Item", {})).text) as { id: string }[],
    );
    await until(
      () =>
        engines.every(
          (engine) => JSON.stringify(contents(engine.store.list("Item"))) === JSON.stringify(truth),
        ),
      20_000,
    );
    expect(Object.keys(truth).toSorted()).toEqual(expected);
    // The only possible rejection is an update of a row that another device deleted.
    expect(refused.filter((what) => what !== "update NOT_FOUND")).toEqual([]);
    for (const engine of engines) engine.stop();
    await server.stop();
  }, 60_000);
}
