import { readFileSync } from "node:fs";

const EVERY_MS = 10;

export interface Measured {
  /** The 99th percentile of the response times, in milliseconds. */
  readonly p99: number;
  readonly answers: number;
  /** The number of responses other than 200, and of requests without a response. */
  readonly failures: number;
}

/**
 * Requests `/health` a hundred times a second, whether or not the previous request was answered.
 */
export async function measureHealth(url: string, durationMs: number): Promise<Measured> {
  const times: number[] = [];
  let failures = 0;
  const ask = async (): Promise<void> => {
    const began = performance.now();
    const isOk = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    times.push(performance.now() - began);
    if (!isOk) failures += 1;
  };
  const asked: Promise<void>[] = [];
  const end = performance.now() + durationMs;
  while (performance.now() < end) {
    asked.push(ask());
    await Bun.sleep(EVERY_MS);
  }
  await Promise.all(asked);
  const sorted = times.toSorted((a, b) => a - b);
  const p99 = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? Infinity;
  return { p99, answers: times.length, failures };
}

/** The current resident memory of a process. */
export function residentBytes(pid: number): number {
  const [, kib = "0"] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1024;
}

/** An attack in a separate process, which is ended with its block. */
export class Attacker implements Disposable {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;

  private constructor(child: Bun.Subprocess<"ignore", "pipe", "inherit">) {
    this.#child = child;
  }

  /** Resolves once the attack is running. */
  static async start(attack: string, url: string, token: string): Promise<Attacker> {
    const child = Bun.spawn(
      [process.execPath, `${import.meta.dir}/attacker.ts`, attack, url, token],
      { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
    );
    const { done } = await child.stdout.getReader().read();
    if (done) throw new Error(`The attack "${attack}" ended at once.`);
    return new Attacker(child);
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
