// The lower bound of bench/shards: only the sockets of Bun. Every client is sent as many bytes in
// each step as ours sends, and its inputs are parsed, without a game, a view or a check.
const STEP_MS = 50;
/** About the size that ours sends a client in a step of the bench. */
const bytes = new Uint8Array(182);
const sockets = new Set<Bun.ServerWebSocket<undefined>>();
let lastSeq = 0;

const floor = Bun.serve<undefined>({
  port: 0,
  fetch: (request, server) =>
    server.upgrade(request, { data: undefined })
      ? undefined
      : new Response("A socket is expected.", { status: 426 }),
  websocket: {
    perMessageDeflate: false,
    open: (socket) => void sockets.add(socket),
    message: (_socket, message) => {
      const input: { readonly client_seq: number } = JSON.parse(String(message));
      lastSeq = Math.max(lastSeq, input.client_seq);
    },
    close: (socket) => void sockets.delete(socket),
  },
});
setInterval(() => {
  for (const socket of sockets) socket.sendBinary(bytes);
}, STEP_MS);
process.stdout.write(`http://127.0.0.1:${floor.port}\n`);
