import { load } from "./load.ts";
import { report } from "./report.ts";
import { guestToken, startServer, type BenchServer } from "./servers.ts";

export interface HttpBench {
  readonly name: string;
  /** The request for both, or for each separately. */
  readonly pylon: (token: string, url: string) => Promise<string>;
  readonly bare: (url: string) => Promise<string>;
}

const ROUNDS = 5;
const LOAD = { connections: 64, seconds: 2 };

/**
 * Loads ours and the bare server in turn, each with its own SQLite file, and reports requests per
 * second.
 */
export async function compareHttp(bench: HttpBench): Promise<void> {
  await compareServers(bench, await startServer("pylon"), await startServer("bare"));
}

/** Like `compareHttp`, with running servers; they are stopped at the end. */
export async function compareServers(
  bench: HttpBench,
  pylon: BenchServer,
  bare: BenchServer,
): Promise<void> {
  const ours = await bench.pylon(await guestToken(pylon.url), pylon.url);
  const theirs = await bench.bare(bare.url);
  const rounds: { value: number; baseline: number }[] = [];
  for (let index = 0; index <= ROUNDS; index += 1) {
    const value = await load(pylon.url, ours, LOAD);
    const baseline = await load(bare.url, theirs, LOAD);
    // The first round warms both up.
    if (index > 0) rounds.push({ value, baseline });
  }
  await pylon.stop();
  await bare.stop();
  report(bench.name, "requests/s", rounds);
}

export const NOTE = { text: "a note of some forty characters, or so it is", count: 7 };

/** Inserts so many notes that a list has to select among them. */
export async function insertNotes(url: string, token?: string): Promise<void> {
  for (let round = 0; round < 20; round += 1)
    await Promise.all(Array.from({ length: 50 }, () => insertNote(url, token)));
}

/** Inserts a note. @returns its path */
export async function insertNote(url: string, token?: string): Promise<string> {
  const answer = await fetch(`${url}/api/entities/Note`, {
    method: "POST",
    body: JSON.stringify(NOTE),
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
  });
  return `/api/entities/Note/${((await answer.json()) as { id: string }).id}`;
}
