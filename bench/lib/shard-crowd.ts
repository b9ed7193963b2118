import { bearerProtocol, SHARD_PROTOCOL } from "@pylonsync/protocol";
import { TestClient, until } from "../../tests/support/client.ts";

/** The counts of a crowd over a period. */
export interface CrowdCount {
  /** Of the messages that it received. */
  readonly bytes: number;
  /** The times between two messages of the first client, in milliseconds. */
  readonly gaps: readonly number[];
}

type InputOf = (turn: number, player: number) => string | Uint8Array<ArrayBuffer>;

/** Players of one game who count what they receive, and send their directions. */
export class ShardCrowd {
  readonly #sockets: WebSocket[];
  readonly #input: InputOf;
  #bytes = 0;
  #gaps: number[] = [];
  #heardAt = 0;
  #turn = 0;

  private constructor(sockets: WebSocket[], input: InputOf) {
    this.#sockets = sockets;
    this.#input = input;
  }

  /** Ours: each is a guest. */
  static async ofPylon(url: string, size: number): Promise<ShardCrowd> {
    const players = await Promise.all(Array.from({ length: size }, () => TestClient.guest(url)));
    const sockets = players.map(({ userId, token }) => {
      const address = `${url.replace("http", "ws")}/shards?shard=arena&sid=${userId}`;
      return new WebSocket(address, [SHARD_PROTOCOL, bearerProtocol(token ?? "")]);
    });
    const crowd = new ShardCrowd(sockets, jsonInput);
    await crowd.#listen(() => undefined);
    return crowd;
  }

  /** Colyseus: one seat each, and one byte that reports that the client is ready. */
  static async ofColyseus(url: string, size: number): Promise<ShardCrowd> {
    const addresses: string[] = [];
    for (let player = 0; player < size; player += 1) {
      const answer = await fetch(`${url}/matchmake/joinOrCreate/arena`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: "{}",
      });
      const seat: { roomId: string; processId: string; sessionId: string } = await answer.json();
      const { processId, roomId, sessionId } = seat;
      const path = `/${processId}/${roomId}?sessionId=${sessionId}`;
      addresses.push(url.replace("http", "ws") + path);
    }
    const sockets = addresses.map((address) => new WebSocket(address));
    const crowd = new ShardCrowd(sockets, (turn, player) => moveOf(directionOf(turn, player)));
    await crowd.#listen((socket, bytes) => {
      if (bytes[0] === JOIN_ROOM) socket.send(Uint8Array.of(JOIN_ROOM));
    });
    return crowd;
  }

  /**
   * A server that only reads inputs and sends bytes, without a game: the minimal cost of sockets.
   */
  static async ofBare(url: string, size: number): Promise<ShardCrowd> {
    const sockets = Array.from({ length: size }, () => new WebSocket(url.replace("http", "ws")));
    const crowd = new ShardCrowd(sockets, jsonInput);
    await crowd.#listen(() => undefined);
    return crowd;
  }

  /** Plays for this many turns of 100 ms. */
  async play(turns: number): Promise<CrowdCount> {
    this.#bytes = 0;
    this.#gaps = [];
    for (let count = 0; count < turns; count += 1) {
      this.#turn += 1;
      for (const [player, socket] of this.#sockets.entries())
        socket.send(this.#input(this.#turn, player));
      await Bun.sleep(TURN_MS);
    }
    return { bytes: this.#bytes, gaps: this.#gaps };
  }

  async leave(): Promise<void> {
    for (const socket of this.#sockets) socket.close();
    await until(() => this.#sockets.every(({ readyState }) => readyState === WebSocket.CLOSED));
  }

  async #listen(answer: (socket: WebSocket, bytes: Uint8Array) => void): Promise<void> {
    const heard = new Set<WebSocket>();
    for (const socket of this.#sockets) {
      socket.binaryType = "arraybuffer";
      socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
        heard.add(socket);
        const isText = typeof data === "string";
        this.#bytes += isText ? Buffer.byteLength(data) : data.byteLength;
        if (!isText) answer(socket, new Uint8Array(data));
        if (socket === this.#sockets[0]) this.#heard();
      };
    }
    await until(() => heard.size === this.#sockets.length);
  }

  #heard(): void {
    const now = performance.now();
    this.#gaps.push(now - this.#heardAt);
    this.#heardAt = now;
  }
}

/** How often each player sends its direction, in milliseconds. */
const TURN_MS = 100;
/** Colyseus's codes for "joined" and for a message of the app. */
const [JOIN_ROOM, ROOM_DATA] = [10, 13];

function directionOf(turn: number, player: number): { dx: number; dy: number } {
  return { dx: ((turn + player) % 9) - 4, dy: ((turn * 3 + player) % 9) - 4 };
}

function jsonInput(turn: number, player: number): string {
  return JSON.stringify({ input: directionOf(turn, player), client_seq: turn + player * 37 });
}

/** `move` with a direction, in MessagePack: a map of two small numbers. */
function moveOf({ dx, dy }: { dx: number; dy: number }): Uint8Array<ArrayBuffer> {
  const text = (value: string): number[] => [0xa0 + value.length, ...Buffer.from(value)];
  const map = [0x82, ...text("dx"), dx & 0xff, ...text("dy"), dy & 0xff];
  return Uint8Array.from([ROOM_DATA, ...text("move"), ...map]);
}
