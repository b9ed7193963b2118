// Resident memory of an idle signed-in socket against a socket of a bare Bun server.
import { readFileSync } from "node:fs";
import { openCrowd } from "./lib/crowd.ts";
import { guestToken, startServer, type BenchServer } from "./lib/servers.ts";
import { report } from "./lib/report.ts";

const SOCKETS = 5000;
const WARM_UP = 1000;

const pylon = await startServer("pylon");
const bare = await startServer("bare");
const token = await guestToken(pylon.url);
const value = await bytesPerSocket(pylon, (count) =>
  openCrowd(`${pylon.url.replace("http", "ws")}/ws`, count, token),
);
const baseline = await bytesPerSocket(bare, (count) =>
  openCrowd(bare.url.replace("http", "ws"), count),
);
await pylon.stop();
await bare.stop();
report("socket-memory", "bytes", [{ value, baseline }]);

/** The first sockets include shared costs, so they do not count. */
async function bytesPerSocket(
  server: BenchServer,
  open: (count: number) => Promise<{ stop: () => void }>,
): Promise<number> {
  const first = await open(WARM_UP);
  await Bun.sleep(1500);
  const before = residentBytes(server.pid);
  const crowd = await open(SOCKETS);
  await Bun.sleep(1500);
  const after = residentBytes(server.pid);
  first.stop();
  crowd.stop();
  return (after - before) / SOCKETS;
}

function residentBytes(pid: number): number {
  return (
    Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024
  );
}
