// Many clients in a separate process: `bun crowd-process.ts <socket url> <count> <token>...`. Each
// is a separate client of a server behind one proxy, and reconnects after its connection was
// closed. Whenever it changes, it reports how many are open, and how many have received what.
import { bearerProtocol } from "@pylonsync/protocol";

const [url = "", countText = "0", ...tokens] = process.argv.slice(2);
const count = Number(countText);
/**
 * The number of concurrent connection attempts: a crowd does not arrive in one instant, and a
 * machine has a limited number of half-open connections.
 */
const CONCURRENCY = 256;
const MARK = /mark-\d+/;

let open = 0;
let connecting = 0;
let opened = 0;
const waiting: number[] = Array.from({ length: count }, (_, index) => index);
const heard = new Map<string, number>();
const cursors: number[] = Array.from({ length: count }, () => 0);

function connectNext(): void {
  while (connecting < CONCURRENCY) {
    const index = waiting.shift();
    if (index === undefined) return;
    connecting += 1;
    connect(index);
  }
}

function connect(index: number): void {
  const headers = { "X-Forwarded-For": `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}` };
  const socket = new WebSocket(`${url}?since=${cursors[index] ?? 0}`, {
    protocols: [bearerProtocol(tokens[index % tokens.length] ?? "")],
    headers,
  } as unknown as string[]);
  let isOpen = false;
  socket.onmessage = ({ data }) => {
    const text = String(data);
    if (!isOpen && text.includes('"hello"')) {
      isOpen = true;
      open += 1;
      opened += 1;
      connecting -= 1;
      connectNext();
    }
    cursors[index] = Math.max(cursors[index] ?? 0, Number(/"seq":(\d+)/.exec(text)?.[1] ?? 0));
    const mark = MARK.exec(text)?.[0];
    if (mark !== undefined) heard.set(mark, (heard.get(mark) ?? 0) + 1);
  };
  socket.onclose = () => {
    if (isOpen) open -= 1;
    else connecting -= 1;
    const later = isOpen ? Math.random() * 1_000 : 200 + Math.random() * 800;
    setTimeout(() => {
      waiting.push(index);
      connectNext();
    }, later);
  };
}

let said = "";
setInterval(() => {
  const line = JSON.stringify({ open, opened, heard: Object.fromEntries(heard) });
  if (line !== said) process.stdout.write(`${line}\n`);
  said = line;
}, 100);
connectNext();
