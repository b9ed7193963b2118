import { expect, test } from "bun:test";
import fc from "fast-check";
import { Backoff } from "./backoff.ts";
import { systemPlatform } from "./platform.ts";

const steps = fc.array(fc.constantFrom("next", "next", "next", "reset", "ease"), { maxLength: 30 });

test("each delay is random within a range that doubles, up to 30 seconds", () => {
  fc.assert(
    fc.property(
      steps,
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (all, baseMs, chance) => {
        const backoff = new Backoff({ ...systemPlatform, random: () => chance }, baseMs);
        let tries = 0;
        for (const step of all) {
          if (step === "reset") {
            backoff.reset();
            tries = 0;
          } else if (step === "ease") {
            backoff.limitAttempts();
            // After a short connection it begins with a range of at most four times the first.
            tries = Math.min(tries, 2);
          } else {
            const span = Math.min(30_000, baseMs * Math.min(8, 2 ** tries));
            expect(backoff.next()).toBe(Math.floor(chance * span));
            tries += 1;
          }
        }
      },
    ),
  );
});
