// A page with 100,000 rows, opened for the second time in Chromium, against its first visit: the
// time until the first rows of a query of 50 are shown, the time until it is live, the transferred
// bytes; and how long one of its own writes blocks it, against the same page when idle.
import type { BrowserContext, CDPSession, Page } from "playwright-core";
import { launchBrowser } from "../tests/support/browser.ts";
import { report } from "./lib/report.ts";
import { guestToken, startServer } from "./lib/servers.ts";
// For the type of the page's globals.
import type {} from "./lib/disk-page.ts";

const ROWS = 100_000;
const ROUNDS = 3;
const BATCH = 1_000;

const server = await startServer("pylon");
const token = await guestToken(server.url);
for (let from = 0; from < ROWS; from += BATCH)
  await fetch(`${server.url}/api/sync/push`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({
      results: true,
      changes: Array.from({ length: BATCH }, (_, n) => ({
        entity: "Note",
        row_id: `note-${from + n}`,
        kind: "insert",
        data: { text: `a note of some forty characters, or so ${from + n}`, count: from + n },
      })),
    }),
  });

const built = await Bun.build({
  entrypoints: [new URL("lib/disk-page.ts", import.meta.url).pathname],
  minify: true,
  target: "browser",
});
const script = (await built.outputs[0]?.text()) ?? "";
const browser = await launchBrowser("--disable-gpu", "--disable-features=LocalNetworkAccessChecks");

interface Visit {
  readonly firstRows: number;
  readonly live: number;
  readonly kilobytes: number;
}

/** Opens the page, and waits until it is live. */
async function visit(context: BrowserContext): Promise<{ page: Page; figures: Visit }> {
  const page = await context.newPage();
  const bytes = await countBytes(await context.newCDPSession(page));
  await page.goto(`${server.url}/bench-page`);
  await page.waitForFunction(() => window.bench.live !== null);
  const { firstRows, live } = await page.evaluate(() => window.bench);
  return {
    page,
    figures: { firstRows: firstRows ?? NaN, live: live ?? NaN, kilobytes: bytes() / 1000 },
  };
}

/** Bytes of the API's responses, and of messages received by sockets. */
async function countBytes(session: CDPSession): Promise<() => number> {
  let bytes = 0;
  const own = new Set<string>();
  session.on("Network.requestWillBeSent", ({ requestId, request }) => {
    if (request.url.includes("/api/")) own.add(requestId);
  });
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (own.has(requestId)) bytes += encodedDataLength;
  });
  session.on("Network.webSocketFrameReceived", ({ response }) => {
    bytes += response.payloadData.length;
  });
  await session.send("Network.enable");
  return () => bytes;
}

const rounds: { first: Visit; second: Visit; write: number; idle: number }[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const context = await browser.newContext();
  await context.route("**/bench-page", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<!doctype html><script>window.token = ${JSON.stringify(token)}</script>
        <script type="module">${script.replaceAll("</script", "<\\/script")}</script>`,
    }),
  );
  const { page, figures: first } = await visit(context);
  await page.evaluate(() => window.bench.kept());
  await page.close();
  const { page: again, figures: second } = await visit(context);
  rounds.push({ first, second, ...(await again.evaluate(() => window.bench.write())) });
  await context.close();
}
await browser.close();
await server.stop();

const compare = (name: string, unit: string, figure: keyof Visit): void =>
  report(
    `client-disk ${name}`,
    unit,
    rounds.map(({ first, second }) => ({ value: second[figure], baseline: first[figure] })),
  );
compare("first rows", "ms", "firstRows");
compare("live", "ms", "live");
compare("transferred", "kB", "kilobytes");
report(
  "client-disk own write",
  "ms",
  rounds.map(({ write, idle }) => ({ value: write, baseline: idle })),
);
