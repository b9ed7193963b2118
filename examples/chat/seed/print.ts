// Prints 50,000 messages for `pylon seed`:
//   bun seed/print.ts > seed.json && pylon seed --file seed.json
import { seedRows } from "./rows.ts";

console.log(JSON.stringify(seedRows(50_000, new Date())));
