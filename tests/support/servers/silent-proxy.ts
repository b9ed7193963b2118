import { createConnection, createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";

/**
 * A proxy to a server whose connections can be silenced, as by a firewall that drops their state:
 * they stay open, and nothing passes any longer. Connections that are opened later work.
 */
export class SilentProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(targetPort: number) {
    this.#server = createServer((client) => {
      const backend = createConnection({ host: "127.0.0.1", port: targetPort });
      for (const [from, to] of [
        [client, backend],
        [backend, client],
      ] as const) {
        this.#sockets.add(from);
        from.setNoDelay(true);
        from.pipe(to);
        from.on("error", () => to.destroy());
        from.once("close", () => {
          this.#sockets.delete(from);
          to.destroy();
        });
      }
    });
  }

  static async start(targetPort: number): Promise<SilentProxy> {
    const proxy = new SilentProxy(targetPort);
    await once(proxy.#server.listen(0, "127.0.0.1"), "listening");
    return proxy;
  }

  /** @param url the URL of the server behind it @returns the URL that leads through it */
  throughIt(url: string): string {
    const address = this.#server.address();
    const through = new URL(url);
    through.hostname = "127.0.0.1";
    through.port = typeof address === "object" && address !== null ? String(address.port) : "";
    return through.href;
  }

  /** Silences all current connections. */
  silence(): void {
    for (const socket of this.#sockets) {
      socket.unpipe();
      // Received data is discarded.
      socket.resume();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
