import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket, UnixSocketListener } from "bun";
import type { Platform } from "../platform.ts";
import { FrameReader, FrameWriter } from "./frames.ts";
import type { IsolateProcess } from "./isolate-process.ts";
import type { IsolateMessage } from "./protocol.ts";

/** A connection, and its process once that has sent its name. */
interface Connection {
  readonly reader: FrameReader;
  readonly writer: FrameWriter;
  process: IsolateProcess | undefined;
}

/**
 * The socket to which the processes of a server connect, in a folder that only its own user can
 * access.
 */
export class IsolateSocket {
  readonly path: string;
  readonly #folder: string;
  readonly #listener: UnixSocketListener<undefined>;
  readonly #connections = new Map<Socket, Connection>();
  /** The processes that were started and have not connected, by name. */
  readonly #expected = new Map<string, IsolateProcess>();

  /** @param platform its turns of the event loop collect the messages to a process */
  constructor({ soon }: Pick<Platform, "soon">) {
    this.#folder = mkdtempSync(join(tmpdir(), "pylon-fn-"));
    this.path = join(this.#folder, "s");
    this.#listener = Bun.listen({
      unix: this.path,
      socket: {
        open: (socket) => {
          const connection = {
            reader: new FrameReader(),
            writer: new FrameWriter(socket, soon),
            process: undefined,
          };
          this.#connections.set(socket, connection);
        },
        data: (socket, bytes) => this.#heard(socket, bytes),
        drain: (socket) => this.#connections.get(socket)?.writer.drain(),
        close: (socket) => {
          this.#connections.get(socket)?.process?.disconnected();
          this.#connections.delete(socket);
        },
      },
    });
    this.#listener.unref();
  }

  /** Registers a process that will send this name. */
  expect(name: string, process: IsolateProcess): void {
    this.#expected.set(name, process);
  }

  /** Removes a process that has ended, whether it has connected or not. */
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
      // Only processes that this server started write here, and they send messages of this type.
      const message = given as IsolateMessage;
      if (message.kind === "hello") {
        connection.process = this.#expected.get(message.name);
        this.#expected.delete(message.name);
        connection.process?.connected(connection.writer);
      } else connection.process?.heard(message);
    }
  }
}
