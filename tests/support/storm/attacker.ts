// One attack on a server, until it is killed: `bun attacker.ts NAME URL TOKEN`. It runs in a
// separate process, so that its cost is attributed neither to the server nor to the measuring test.
import { ATTACKS } from "./attacks.ts";

const [name = "", url = "", token = ""] = process.argv.slice(2);
const attack = ATTACKS.get(name);
if (attack === undefined) throw new Error(`No attack is named ${name}.`);
await attack({ url, token });
console.log("under way");
// An attacker whose test has ended stops on its own.
setTimeout(() => process.exit(0), 60_000);
