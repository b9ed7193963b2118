import { createServer, type Server } from "node:net";

const MOST_TRIES = 50;

/** A port of this machine that nobody listens on now. */
export function freePort(): Promise<number> {
  return freePorts(1);
}

/** The first of so many ports in a row that nobody listens on now. @throws Error when there are none to be found */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const probes: Server[] = [];
    try {
      const first = portOf(await take(0, probes));
      for (let port = first + 1; port < first + count; port += 1) await take(port, probes);
      return first;
    } catch {
      // One of them is in use: somewhere else then.
    } finally {
      await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
    }
  }
  throw new Error(`There are no ${count} free ports in a row.`);
}

function take(port: number, probes: Server[]): Promise<Server> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(port, "127.0.0.1", () => {
      probes.push(probe);
      resolve(probe);
    });
  });
}

function portOf(probe: Server): number {
  const address = probe.address();
  if (typeof address !== "object" || address === null) throw new Error("The probe has no port.");
  return address.port;
}
