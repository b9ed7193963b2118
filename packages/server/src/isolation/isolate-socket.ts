import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket, UnixSocketListener } from "bun";
import { FrameReader, FrameWriter } from "./frames.ts";
import type { IsolateProcess } from "./isolate-process.ts";
import type { IsolateMessage } from "./protocol.ts";

/** A connection, and which process it is from, once that has said so. */
interface Connection {
  readonly reader: FrameReader;
  readonly writer: FrameWriter;
  process: IsolateProcess | undefined;
}

/** Where the processes of a server connect to it: in a folder that only its own user may enter. */
export class IsolateSocket {
  readonly path: string;
  readonly #folder: string;
  readonly #listener: UnixSocketListener<undefined>;
  readonly #connections = new Map<Socket, Connection>();
  /** Processes that were started and have not connected, by their names. */
  readonly #expected = new Map<string, IsolateProcess>();

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), "pylon-fn-"));
    this.path = join(this.#folder, "s");
    this.#listener = Bun.listen({
      unix: this.path,
      socket: {
        open: (socket) => {
          const connection = {
            reader: new FrameReader(),
            writer: new FrameWriter(socket),
            process: undefined,
          };
          this.#connections.set(socket, connection);
        },
        data: (socket, bytes) => this.#heard(socket, bytes),
        drain: (socket) => this.#connections.get(socket)?.writer.drain(),
        close: (socket) => void this.#connections.delete(socket),
      },
    });
    this.#listener.unref();
  }

  /** The process will say this name. */
  expect(name: string, process: IsolateProcess): void {
    this.#expected.set(name, process);
  }

  /** The process is gone, whether it has connected or not. */
  forget(name: string): void {
    this.#expected.delete(name);
  }

  close(): void {
    this.#listener.stop(true);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #heard(socket: Socket, bytes: Uint8Array): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    for (const given of connection.reader.take(bytes)) {
      // Only processes that this server started write here, what the type says.
      const message = given as IsolateMessage;
      if (message.kind === "hello") {
        connection.process = this.#expected.get(message.name);
        this.#expected.delete(message.name);
        connection.process?.connected(connection.writer);
      } else connection.process?.heard(message);
    }
  }
}
