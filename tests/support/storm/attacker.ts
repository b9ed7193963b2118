// One attack on a server, until it is killed: `bun attacker.ts NAME URL TOKEN`. It runs as a
// process of its own, so that what it costs is not counted to the server or to the test that
// measures it.
import { ATTACKS } from "./attacks.ts";

const [name = "", url = "", token = ""] = process.argv.slice(2);
const attack = ATTACKS.get(name);
if (attack === undefined) throw new Error(`No attack is named ${name}.`);
await attack({ url, token });
console.log("under way");
// An attacker whose test is gone ends by itself.
setTimeout(() => process.exit(0), 60_000);
