// Requests to a server that exports traces, metrics and logs with the default sampler, against the
// same server without: the cost of telemetry.
import { join } from "node:path";
import { insertNote, NOTE } from "./lib/compare.ts";
import { load, rawRequest } from "./lib/load.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer } from "./lib/servers.ts";

const ROUNDS = 7;
const LOAD = { connections: 64, seconds: 2 };

const sink = Bun.spawn([process.execPath, join(import.meta.dir, "lib/otlp-sink.ts")], {
  stdout: "pipe",
  stderr: "inherit",
});
const { value: address } = await sink.stdout.getReader().read();
const traced = await startServer("pylon", "", {
  OTEL_EXPORTER_OTLP_ENDPOINT: new TextDecoder().decode(address).trim().replace(/\/$/, ""),
});
const plain = await startServer("pylon");
for (const [name, requestTo] of [
  [
    "tracing get",
    async (url: string, token: string) =>
      rawRequest("GET", await insertNote(url, token), { token }),
  ],
  [
    "tracing mutation",
    async (_: string, token: string) =>
      rawRequest("POST", "/api/fn/addNote", { token, body: NOTE }),
  ],
] as const) {
  const requests = {
    traced: await requestTo(traced.url, await guestToken(traced.url)),
    plain: await requestTo(plain.url, await guestToken(plain.url)),
  };
  const rounds: { value: number; baseline: number }[] = [];
  for (let index = 0; index <= ROUNDS; index += 1) {
    const value = await load(traced.url, requests.traced, LOAD);
    const baseline = await load(plain.url, requests.plain, LOAD);
    // The first round warms both up.
    if (index > 0) rounds.push({ value, baseline });
  }
  report(name, "requests/s", rounds);
}
await traced.stop();
await plain.stop();
sink.kill();
