import { expect, test } from "bun:test";
import { SocketOutlet, type ShardServerSocket } from "./socket-outlet.ts";

/** A server's WebSocket whose client may have stopped reading. */
class FakeSocket implements ShardServerSocket {
  isReading = true;
  /** As while the runtime handles an event of the socket: nothing is sent before its end. */
  isCollecting = false;
  asked = 0;
  #waiting = 0;

  sendText(text: string): number {
    return this.#send(text.length);
  }
  sendBinary(bytes: Uint8Array): number {
    return this.#send(bytes.length);
  }
  getBufferedAmount(): number {
    this.asked += 1;
    if (this.isReading) this.#waiting = 0;
    return this.#waiting;
  }
  close(): void {
    // Not used here.
  }
  terminate(): void {
    // Not used here.
  }
  #send(bytes: number): number {
    if (!this.isReading) this.#waiting += bytes;
    return this.isReading || this.isCollecting ? bytes : -1;
  }
}

function outletOf(
  socket: FakeSocket,
  { relayed = 0 }: { readonly relayed?: number } = {},
): SocketOutlet {
  const outlet = new SocketOutlet(socket, { takesDeltas: true, rate: null });
  outlet.relayBacklog = relayed;
  return outlet;
}

test("a client that reads is not asked about, one that stopped is until it has caught up", () => {
  const socket = new FakeSocket();
  const outlet = outletOf(socket);
  outlet.sendBytes(new Uint8Array(10));
  expect([outlet.backlog(), socket.asked]).toEqual([0, 0]);
  socket.isReading = false;
  outlet.sendBytes(new Uint8Array(10));
  outlet.sendBytes(new Uint8Array(10));
  expect([outlet.backlog(), outlet.backlog(), socket.asked]).toEqual([20, 20, 2]);
  socket.isReading = true;
  expect([outlet.backlog(), outlet.backlog(), socket.asked]).toEqual([0, 0, 3]);
});

test("texts and views that the runtime collects count", () => {
  for (const send of [
    (outlet: SocketOutlet) => outlet.sendText("four"),
    (outlet: SocketOutlet) => outlet.sendView(1, "view"),
  ]) {
    const socket = new FakeSocket();
    [socket.isReading, socket.isCollecting] = [false, true];
    const outlet = outletOf(socket);
    send(outlet);
    expect(outlet.backlog()).toBeGreaterThanOrEqual(4);
  }
});

test("what waits at the replica that relays the client counts", () => {
  const socket = new FakeSocket();
  const outlet = outletOf(socket, { relayed: 7 });
  expect(outlet.backlog()).toBe(7);
  socket.isReading = false;
  outlet.sendBytes(new Uint8Array(10));
  expect(outlet.backlog()).toBe(17);
});
