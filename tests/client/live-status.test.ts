import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import {
  createSyncEngine,
  createWriteThroughStorage,
  type Socket,
  type SyncEngine,
} from "@pylonsync/sync";
import { aMoment, until } from "../support/client.ts";
import { tappedSocket } from "../support/tapped-socket.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "live-status",
    version: "1.0.0",
    entities: [entity("Todo", { title: field.string(), ownerId: field.string().owner() })],
    policies: [policy({ name: "own", entity: "Todo", allow: "auth.userId == data.ownerId" })],
  }),
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer(app);
});
afterAll(() => server.stop());

/** Sockets whose hello message is delayed until the test releases it: the server is catching up. */
class Network {
  isHeld = true;
  readonly #held: (() => void)[] = [];

  get held(): number {
    return this.#held.length;
  }

  release(): void {
    this.isHeld = false;
    for (const deliver of this.#held.splice(0)) deliver();
  }

  readonly openSocket = (url: string, protocols: string[]): Socket =>
    tappedSocket(url, protocols, {
      onMessage: (text, pass) => {
        if (this.isHeld && text.includes('"type":"hello"')) this.#held.push(pass);
        else pass();
      },
    });
}

function engineOn(network: Network): SyncEngine {
  return createSyncEngine(server.url, {
    reconnectDelay: 30,
    storage: createWriteThroughStorage({}, () => undefined),
    platform: { openSocket: network.openSocket },
  });
}

test("a connection is live once the server has sent hello, not when it opens", async () => {
  const network = new Network();
  const engine = engineOn(network);
  await engine.signInAsGuest();
  engine.start();
  await until(() => network.held > 0);
  await aMoment();
  expect(engine.status.connection).toBe("connecting");
  network.release();
  await until(() => engine.status.connection === "live");
  engine.stop();
});
