// Opens many connections in a separate process, so that the bench measures the server. It reads
// only where messages end: a client that decodes each would use more CPU than the measured server.
// Reports how many are open, and, when told to count, how many messages all of them received
// together.
import { bearerProtocol } from "@pylonsync/protocol";

const [address = "", count = "0", tokenList = ""] = process.argv.slice(2);
const tokens = tokenList.split(",");
const url = new URL(address);
const isStream = url.protocol === "http:";

/** The request that opens a connection. */
function requestOf(token: string): string {
  const start = `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n`;
  if (isStream)
    return (
      start +
      (token === "" ? "" : `Authorization: Bearer ${token}\r\n`) +
      "Accept: text/event-stream\r\n\r\n"
    );
  return (
    `${start}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
    `Sec-WebSocket-Key: ${Buffer.alloc(16, 7).toString("base64")}\r\n` +
    (token === "" ? "" : `Sec-WebSocket-Protocol: ${bearerProtocol(token)}\r\n`) +
    "\r\n"
  );
}

const [TEXT, PING] = [1, 9];
/** A socket that does not answer pings is closed. */
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);

let open = 0;
let messages = 0;

function counted(some: number): void {
  const before = Math.floor(messages / Number(count));
  messages += some;
  const after = Math.floor(messages / Number(count));
  for (let done = before + 1; done <= after; done += 1) process.stdout.write(`${done}\n`);
}

/** Counts the messages in the data of one connection. */
class Reader {
  /** The number of bytes of the current frame that remain to be skipped. */
  #rest = 0;
  #pending = Buffer.alloc(0);
  #isOpen = false;
  #isPinged = false;

  /** @returns the response to send */
  take(chunk: Buffer): Buffer | null {
    let bytes = chunk;
    if (!this.#isOpen) {
      this.#pending = Buffer.concat([this.#pending, bytes]);
      const end = this.#pending.indexOf("\r\n\r\n");
      if (end < 0) return null;
      if (!/^HTTP\/1.1 (?:101|200) /.test(this.#pending.toString("latin1", 0, 16)))
        throw new Error(this.#pending.toString());
      bytes = this.#pending.subarray(end + 4);
      this.#pending = Buffer.alloc(0);
      this.#isOpen = true;
      open += 1;
      if (open === Number(count)) process.stdout.write("open\n");
    }
    const some = isStream ? events(bytes) : this.#frames(bytes);
    if (some > 0) counted(some);
    const isPinged = this.#isPinged;
    this.#isPinged = false;
    return isPinged ? PONG : null;
  }

  #frames(chunk: Buffer): number {
    let some = 0;
    let at = Math.min(this.#rest, chunk.length);
    this.#rest -= at;
    let bytes = chunk;
    if (this.#pending.length > 0) {
      bytes = Buffer.concat([this.#pending, chunk.subarray(at)]);
      this.#pending = Buffer.alloc(0);
      at = 0;
    }
    while (at < bytes.length) {
      const short = (bytes[at + 1] ?? 0) & 127;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (bytes.length - at < head) {
        this.#pending = Buffer.from(bytes.subarray(at));
        return some;
      }
      const size =
        short === 126
          ? bytes.readUInt16BE(at + 2)
          : short === 127
            ? bytes.readUInt32BE(at + 6)
            : short;
      const kind = (bytes[at] ?? 0) & 15;
      if (kind === TEXT) some += 1;
      if (kind === PING) this.#isPinged = true;
      const end = at + head + size;
      this.#rest = Math.max(0, end - bytes.length);
      at = Math.min(end, bytes.length);
    }
    return some;
  }
}

/** Each begins with the same word, which the bench's rows do not contain. */
function events(bytes: Buffer): number {
  let some = 0;
  for (let at = bytes.indexOf("data: "); at >= 0; at = bytes.indexOf("data: ", at + 6)) some += 1;
  return some;
}

for (let index = 0; index < Number(count); index += 1) {
  const reader = new Reader();
  const request = requestOf(tokens[index % tokens.length] ?? "");
  void Bun.connect({
    hostname: url.hostname,
    port: Number(url.port),
    socket: {
      open: (socket) => void socket.write(request),
      data: (socket, chunk) => {
        const answer = reader.take(chunk);
        if (answer !== null) socket.write(answer);
      },
    },
  });
  if (index % 200 === 199) await Bun.sleep(20);
}
