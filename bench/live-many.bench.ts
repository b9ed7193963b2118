// Inserts over HTTP with 10,000 different open subscriptions, which wait for rows with other ids,
// against ten; and the memory per subscription.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NOTE } from "./lib/compare.ts";
import { load, rawRequest } from "./lib/load.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer } from "./lib/servers.ts";

const SOCKETS = 100;
const EACH = 100;
const ROUNDS = 5;
const LOAD = { connections: 64, seconds: 2 };
/** The size of a memory page, in KiB. */
const PAGE_KIB = 4;

const server = await startServer("pylon");
const token = await guestToken(server.url);
const insert = rawRequest("POST", "/api/entities/Note", { token, body: NOTE });
await load(server.url, insert, LOAD);
const rounds: { value: number; baseline: number }[] = [];
const sizes: { value: number; baseline: number }[] = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const few = await subscribe(1, 10);
  const baseline = await load(server.url, insert, LOAD);
  few.stop();
  const before = rssKiB();
  const many = await subscribe(SOCKETS, EACH);
  const size = (rssKiB() - before) / (SOCKETS * EACH);
  const value = await load(server.url, insert, LOAD);
  many.stop();
  if (round > 0) rounds.push({ value, baseline });
  if (round === 0) sizes.push({ value: size, baseline: 8 });
}
await server.stop();
report("live-many", "inserts/s", rounds);
report("live-many-memory", "KiB", sizes);

async function subscribe(sockets: number, each: number): Promise<{ readonly stop: () => void }> {
  const url = `${server.url.replace("http", "ws")}/ws`;
  const file = join(import.meta.dir, "lib/live-sockets.ts");
  const child = Bun.spawn([process.execPath, file, url, `${sockets}`, `${each}`], {
    stdout: "pipe",
    stderr: "inherit",
  });
  await child.stdout.getReader().read();
  return { stop: () => child.kill() };
}

function rssKiB(): number {
  const pages = readFileSync(`/proc/${server.pid}/statm`, "utf8").split(" ")[1] ?? "0";
  return Number(pages) * PAGE_KIB;
}
