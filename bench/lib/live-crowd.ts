// Opens sockets that subscribe to the same thing, in a separate process, and reports the latency of
// each message: the first text `at:<milliseconds>` in a message is when it was written. Reports
// when all are ready; for a line on its standard input, which contains such a time, it reports the
// latencies since the previous line, once all sockets have received that time.
import { LIVE_PROTOCOL } from "@pylonsync/protocol";

const [url = "", count = "0", subscribe = ""] = process.argv.slice(2);
let ready = 0;
let times: number[] = [];
/** The newest time that each socket has received. */
const heard: number[] = [];
let check = (): void => undefined;
for (let index = 0; index < Number(count); index += 1) {
  const socket = new WebSocket(url, [LIVE_PROTOCOL]);
  let isReady = false;
  heard[index] = 0;
  socket.onopen = () => socket.send(subscribe);
  socket.onmessage = ({ data }) => {
    const text = String(data);
    const isFirst = text.startsWith('{"type":"ready"') || text.startsWith('{"type":"result"');
    if (!isReady && isFirst) {
      isReady = true;
      ready += 1;
      if (ready === Number(count)) process.stdout.write("ready\n");
      return;
    }
    const at = text.indexOf("at:");
    if (!isReady || at === -1) return;
    const written = Number.parseFloat(text.slice(at + 3));
    times.push(performance.timeOrigin + performance.now() - written);
    heard[index] = Math.max(heard[index] ?? 0, written);
    check();
  };
  if (index % 100 === 99) await Bun.sleep(20);
}
for await (const line of console) {
  const last = Number(line);
  await new Promise<void>((resolve) => {
    check = () => {
      if (heard.length === Number(count) && heard.every((time) => time >= last)) resolve();
    };
    check();
  });
  check = () => undefined;
  process.stdout.write(`${JSON.stringify(times)}\n`);
  times = [];
}
