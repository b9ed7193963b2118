// Opens sockets that subscribe to queries, in a separate process: each to the same number, all of
// them different. Reports when all are ready.
import { LIVE_PROTOCOL } from "@pylonsync/protocol";

const [url = "", sockets = "0", each = "0"] = process.argv.slice(2);
const wanted = Number(sockets) * Number(each);
let ready = 0;
for (let index = 0; index < Number(sockets); index += 1) {
  const socket = new WebSocket(url, [LIVE_PROTOCOL]);
  const first = index * Number(each);
  socket.onopen = () => {
    for (let id = 0; id < Number(each); id += 1) {
      const where = { id: `note${first + id}` };
      socket.send(JSON.stringify({ type: "subscribe", id, entity: "Note", where }));
    }
  };
  socket.onmessage = ({ data }) => {
    if (!String(data).startsWith('{"type":"ready"')) return;
    ready += 1;
    if (ready === wanted) process.stdout.write("ready\n");
  };
}
