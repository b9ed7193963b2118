import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ClientBase, ClientConfig } from "pg";

const CANCEL_REQUEST = 80_877_102;
const TLS_REQUEST = 80_877_103;
const ACCEPTED = "S";
const DEADLINE_MS = 2_000;

/**
 * Requests that the server end the statement that runs on this connection: closing the connection
 * would leave it running. Resolves when the server has processed the request, or after 2 s; the
 * statement's own promise reports whether it ended.
 */
export async function cancelStatement(client: ClientBase, connection: ClientConfig): Promise<void> {
  const key = cancelKeyOf(client);
  if (key === null) return;
  let socket: Socket | null = null;
  try {
    socket = connectTcp({ host: String(connection.host), port: Number(connection.port) });
    socket.setTimeout(DEADLINE_MS, () => socket?.destroy());
    await once(socket, "connect");
    if (typeof connection.ssl === "object") socket = await secured(socket, connection.ssl);
    const closed = once(socket, "close");
    socket.end(requestOf(CANCEL_REQUEST, key.processId, key.secret));
    socket.resume();
    await closed;
  } catch {
    // If the server can't be reached, it has lost the connection as well, or ends the statement by
    // its own limits.
    socket?.destroy();
  }
}

/** The key that the server sent on this connection when it was opened. */
function cancelKeyOf(client: ClientBase): { processId: number; secret: number } | null {
  if (!("processID" in client) || !("secretKey" in client)) return null;
  const { processID: processId, secretKey: secret } = client;
  return typeof processId === "number" && typeof secret === "number" ? { processId, secret } : null;
}

async function secured(socket: Socket, options: object): Promise<Socket> {
  const answered = once(socket, "data");
  socket.write(requestOf(TLS_REQUEST));
  const [answer]: unknown[] = await answered;
  if (!Buffer.isBuffer(answer) || answer.toString("latin1") !== ACCEPTED) return socket;
  const tls = connectTls({ ...options, socket });
  tls.setTimeout(DEADLINE_MS, () => tls.destroy());
  await once(tls, "secureConnect");
  return tls;
}

/** A message without a type: its length, followed by numbers of four bytes. */
function requestOf(...numbers: readonly number[]): Buffer {
  const message = Buffer.alloc(4 * (numbers.length + 1));
  message.writeInt32BE(message.length, 0);
  for (const [index, number] of numbers.entries()) message.writeInt32BE(number, 4 * (index + 1));
  return message;
}
