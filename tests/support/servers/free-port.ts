import { createServer, type Server } from "node:net";

const MAX_TRIES = 50;
/**
 * Below the ephemeral ports of connections, so that no connection takes one between the check and
 * its use.
 */
const [FROM, TO] = [12_000, 32_000];

/** A port of this machine on which nothing listens now. */
export function freePort(): Promise<number> {
  return freePorts(1);
}

/**
 * The first of `count` consecutive ports on which nothing listens now.
 *
 * @throws Error if none are found
 */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const probes: Server[] = [];
    try {
      const first = FROM + Math.floor(Math.random() * (TO - FROM - count));
      for (let port = first; port < first + count; port += 1) await take(port, probes);
      return first;
    } catch {
      // One of them is in use, so another range is tried.
    } finally {
      await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
    }
  }
  throw new Error(`There are no ${count} free ports in a row.`);
}

function take(port: number, probes: Server[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(port, "127.0.0.1", () => {
      probes.push(probe);
      resolve();
    });
  });
}
