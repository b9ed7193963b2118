/**
 * The watchdog's thread. If the main thread's counter does not change for too long, it reports the
 * running functions and restarts the process in place: same pid, same terminal, same container.
 */
import { dlopen, ptr } from "bun:ffi";
import { systemPlatform } from "../platform.ts";
import { beatMsOf, BLOCKED_BY, WATCHDOG_SLOTS, type WatchdogStart } from "./watchdog-protocol.ts";

declare const self: Worker;

/** The number of beats between two looks at the counter. */
const BEATS_PER_LOOK = 2;
const EXIT_SOFTWARE = 70;

self.onmessage = (event: MessageEvent<WatchdogStart>) => {
  const { buffer, limitMs, argv, execArgv } = event.data;
  const view = new Int32Array(buffer);
  const lookMs = BEATS_PER_LOOK * beatMsOf(limitMs);
  let lastHeartbeat = -1;
  // Looks are counted, and not the time: a process that was stopped as a whole, as by
  // `docker pause`, has not blocked its main thread meanwhile.
  let silentLooks = 0;
  systemPlatform.every(lookMs, () => {
    const beat = Atomics.load(view, WATCHDOG_SLOTS.beat);
    if (beat !== lastHeartbeat) {
      lastHeartbeat = beat;
      silentLooks = 0;
      return;
    }
    silentLooks += 1;
    if (silentLooks * lookMs < limitMs) return;
    const running = runningIn(buffer);
    report(running, limitMs);
    // The executable adds its script and flags itself.
    restart(Bun.isStandaloneExecutable ? argv.slice(2) : [...execArgv, ...argv.slice(1)], {
      ...process.env,
      [BLOCKED_BY]: running,
    });
  });
  self.postMessage("watching");
};

function runningIn(buffer: SharedArrayBuffer): string {
  const length = Atomics.load(new Int32Array(buffer), WATCHDOG_SLOTS.nameLength);
  return new TextDecoder().decode(
    new Uint8Array(buffer, WATCHDOG_SLOTS.nameOffset, length).slice(),
  );
}

function report(running: string, limitMs: number): void {
  const names = running.split("\n").join(" or ");
  const what = running === "" ? "code outside of functions" : names;
  process.stderr.write(
    `FATAL the event loop was blocked for ${limitMs / 1000} s in ${what}. Restarting.\n`,
  );
}

/**
 * Replaces the process image. If that is not possible, it ends the process, whose supervisor starts
 * it again.
 */
function restart(args: readonly string[], env: Readonly<Record<string, string | undefined>>): void {
  try {
    const library = dlopen(process.platform === "darwin" ? "libSystem.dylib" : "libc.so.6", {
      execve: { args: ["ptr", "ptr", "ptr"], returns: "int" },
    });
    const environment = Object.entries(env).map(([name, value]) => `${name}=${value ?? ""}`);
    const kept: Uint8Array[] = [];
    library.symbols.execve(
      cString(process.execPath, kept),
      cStrings([process.execPath, ...args], kept),
      cStrings(environment, kept),
    );
  } catch (error) {
    process.stderr.write(`The process can't restart itself (${String(error)}) and exits.\n`);
  }
  process.kill(process.pid, "SIGKILL");
  process.exit(EXIT_SOFTWARE);
}

/** Returns a pointer to a zero-terminated string. `kept` keeps its memory alive. */
function cString(text: string, kept: Uint8Array[]): ReturnType<typeof ptr> {
  const bytes = new TextEncoder().encode(`${text}\0`);
  kept.push(bytes);
  return ptr(bytes);
}

function cStrings(texts: readonly string[], kept: Uint8Array[]): ReturnType<typeof ptr> {
  const pointers = new BigUint64Array(texts.length + 1);
  for (const [index, text] of texts.entries()) pointers[index] = BigInt(cString(text, kept));
  const bytes = new Uint8Array(pointers.buffer);
  kept.push(bytes);
  return ptr(bytes);
}
