// The game of bench/app/shards/arena.ts in Colyseus: the baseline of bench/shards.
import { Room, Server } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { WebSocketTransport } from "@colyseus/ws-transport";

const SIZE = 1000;
const TICK_MS = 50;
const Player = schema({ x: t.uint16(), y: t.uint16() });
const Arena = schema({ players: t.map(Player) });

class ArenaRoom extends Room {
  patchRate = TICK_MS;
  maxClients = 1000;
  #directions = new Map();

  onCreate() {
    this.state = new Arena();
    this.onMessage("move", ({ sessionId }, direction) =>
      this.#directions.set(sessionId, direction),
    );
    this.setSimulationInterval(() => {
      for (const [id, { dx, dy }] of this.#directions) {
        const player = this.state.players.get(id);
        player.x = (player.x + dx + SIZE) % SIZE;
        player.y = (player.y + dy + SIZE) % SIZE;
      }
    }, TICK_MS);
  }

  onJoin({ sessionId }) {
    const player = new Player();
    player.x = SIZE / 2;
    player.y = SIZE / 2;
    this.state.players.set(sessionId, player);
    this.#directions.set(sessionId, { dx: 1, dy: 1 });
  }

  onLeave({ sessionId }) {
    this.state.players.delete(sessionId);
    this.#directions.delete(sessionId);
  }
}

const server = new Server({ transport: new WebSocketTransport(), greet: false });
server.define("arena", ArenaRoom);
const port = Number(process.argv[2]);
await server.listen(port, "127.0.0.1");
process.stdout.write(`http://127.0.0.1:${port}\n`);
