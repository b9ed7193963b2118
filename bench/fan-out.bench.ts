// One change to 1,000 sockets: committed, matched against the policy and delivered, against a bare
// `publish` of the same text.
import { insertNote } from "./lib/compare.ts";
import { openCrowd } from "./lib/crowd.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer } from "./lib/servers.ts";

const SOCKETS = 1000;
const BURST = 20;
const ROUNDS = 5;

const pylon = await startServer("pylon");
const bare = await startServer("bare");
const token = await guestToken(pylon.url);
const ours = await openCrowd(`${pylon.url.replace("http", "ws")}/ws`, SOCKETS, token);
const theirs = await openCrowd(bare.url.replace("http", "ws"), SOCKETS);
const text = JSON.stringify({
  seq: 1,
  entity: "Note",
  row_id: "0".repeat(40),
  kind: "insert",
  data: {
    id: "0".repeat(40),
    text: "a note of some forty characters, or so it is",
    count: 7,
    ownerId: "0".repeat(40),
  },
  timestamp: new Date().toISOString(),
});

let sent = 0;
const rounds: { value: number; baseline: number }[] = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const target = sent + BURST;
  const value = await rate(async () => {
    for (sent; sent < target; sent += 1) await insertNote(pylon.url, token);
    await ours.received(target);
  });
  const baseline = await rate(async () => {
    for (let index = 0; index < BURST; index += 1)
      await fetch(`${bare.url}/publish`, { method: "POST", body: text });
    await theirs.received(target);
  });
  if (round > 0) rounds.push({ value, baseline });
}
ours.stop();
theirs.stop();
await pylon.stop();
await bare.stop();
report("fan-out", "messages/s", rounds);

async function rate(burst: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await burst();
  return (SOCKETS * BURST) / ((performance.now() - started) / 1000);
}
