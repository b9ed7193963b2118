import { createServer, type Server } from "node:net";

const MAX_TRIES = 50;
/**
 * Below the ports that connections are given by themselves: between the look and the use none of
 * these is taken by one.
 */
const [FROM, TO] = [12_000, 32_000];

/** A port of this machine that nobody listens on now. */
export function freePort(): Promise<number> {
  return freePorts(1);
}

/**
 * The first of so many ports in a row that nobody listens on now.
 *
 * @throws Error when there are none to be found
 */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const probes: Server[] = [];
    try {
      const first = FROM + Math.floor(Math.random() * (TO - FROM - count));
      for (let port = first; port < first + count; port += 1) await take(port, probes);
      return first;
    } catch {
      // One of them is in use: somewhere else then.
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
