// Opens sockets in a process of its own, so that the bench measures the server. Says how many are
// open, and, when told to count, how many messages came.
import { bearerProtocol } from "@pylonsync/protocol";

const [url = "", count = "0", tokenList = ""] = process.argv.slice(2);
const tokens = tokenList.split(",");
let open = 0;
let messages = 0;
for (let index = 0; index < Number(count); index += 1) {
  const token = tokens[index % tokens.length] ?? "";
  const socket = new WebSocket(url, token === "" ? [] : [bearerProtocol(token)]);
  socket.onopen = () => {
    open += 1;
    if (open === Number(count)) process.stdout.write("open\n");
  };
  socket.onmessage = () => {
    messages += 1;
    if (messages % Number(count) === 0) process.stdout.write(`${messages / Number(count)}\n`);
  };
  if (index % 200 === 199) await Bun.sleep(20);
}
