// Opens sockets that subscribe to one thing, in a process of its own, and says how long each
// message was on its way: the first text `at:<milliseconds>` in a message is when it was written.
// Says when all are ready; at a line on its standard input, the times since the line before.
import { LIVE_PROTOCOL } from "@pylonsync/protocol";

const [url = "", count = "0", subscribe = ""] = process.argv.slice(2);
let ready = 0;
let times: number[] = [];
for (let index = 0; index < Number(count); index += 1) {
  const socket = new WebSocket(url, [LIVE_PROTOCOL]);
  let isReady = false;
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
    times.push(performance.timeOrigin + performance.now() - Number.parseFloat(text.slice(at + 3)));
  };
  if (index % 100 === 99) await Bun.sleep(20);
}
for await (const _line of console) {
  process.stdout.write(`${JSON.stringify(times)}\n`);
  times = [];
}
