import { expect, test } from "bun:test";
import { SOCKET_RATE } from "@pylonsync/protocol";
import fc from "fast-check";
import { SocketRate } from "./socket-rate.ts";

const frames = fc.array(
  fc.record({
    waitMs: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(1_500)),
    many: fc.integer({ min: 1, max: SOCKET_RATE.frames }),
    bytes: fc.oneof(fc.nat(100), fc.nat(SOCKET_RATE.bytes)),
  }),
  { maxLength: 6 },
);

test("within a window so many frames and bytes are taken, and no more until the next", () => {
  fc.assert(
    fc.property(frames, (all) => {
      let now = 0;
      const rate = new SocketRate(() => now);
      let window = { begin: -Infinity, frames: 0, bytes: 0 };
      for (const { waitMs, many, bytes } of all) {
        now += waitMs;
        for (let count = 0; count < many; count += 1) {
          if (now - window.begin >= 1_000) window = { begin: now, frames: 0, bytes: 0 };
          window.frames += 1;
          window.bytes += bytes;
          expect(rate.take(bytes)).toBe(
            window.frames <= SOCKET_RATE.frames && window.bytes <= SOCKET_RATE.bytes,
          );
        }
      }
    }),
    { numRuns: 30 },
  );
});
