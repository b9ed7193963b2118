/** One request, byte for byte. */
export function rawRequest(
  method: string,
  path: string,
  options: { readonly token?: string | undefined; readonly body?: unknown } = {},
): string {
  const body = options.body === undefined ? "" : JSON.stringify(options.body);
  const token = options.token === undefined ? "" : `Authorization: Bearer ${options.token}\r\n`;
  return (
    `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
    `${token}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}

/**
 * Sends the same request repeatedly on plain sockets, each as soon as the previous response is
 * complete. A client this thin leaves the machine to the server.
 *
 * @param seconds the duration
 * @returns responses with a 2xx status per second
 */
export async function load(
  url: string,
  request: string,
  options: { readonly connections: number; readonly seconds: number },
): Promise<number> {
  const { hostname, port } = new URL(url);
  const bytes = Buffer.from(request);
  let good = 0;
  let isOver = false;
  /** The number of bytes of a response that follow its first chunk. */
  const restOf = (chunk: Buffer): number => {
    const head = chunk.toString("latin1", 0, 1024);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    return head.indexOf("\r\n\r\n") + 4 + length - chunk.length;
  };
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      let rest = 0;
      let status = 0;
      void Bun.connect({
        hostname,
        port: Number(port),
        socket: {
          open: (socket) => void socket.write(bytes),
          data: (socket, chunk) => {
            if (rest > 0) rest -= chunk.length;
            else {
              rest = restOf(chunk);
              status = chunk[9] ?? 0;
            }
            if (rest > 0) return;
            if (status === 50) good += 1;
            else
              reject(
                new Error(`The server refused: ${Buffer.from(chunk).toString().slice(0, 400)}`),
              );
            if (isOver) {
              socket.end();
              resolve();
            } else socket.write(bytes);
          },
          error: (_, error) => reject(error),
        },
      });
    });
  const started = performance.now();
  const all = Array.from({ length: options.connections }, one);
  setTimeout(() => {
    isOver = true;
  }, options.seconds * 1000);
  await Promise.all(all);
  return good / ((performance.now() - started) / 1000);
}
