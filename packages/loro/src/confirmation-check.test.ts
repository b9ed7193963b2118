import { expect, test } from "bun:test";
import { ConfirmationCheck } from "./confirmation-check.ts";
import { Version } from "./versions.ts";

const of = (count: number): Version => new Version(new Map([["1", count]]));

/** A check whose time passes when the test says so. */
class Checked {
  asked = 0;
  #waiting: (() => void) | null = null;
  readonly check = new ConfirmationCheck({
    after: (_ms, work) => {
      this.#waiting = work;
      return () => (this.#waiting = null);
    },
    ask: () => (this.asked += 1),
  });

  pass(): void {
    const work = this.#waiting;
    this.#waiting = null;
    work?.();
  }
}

test("a snapshot is complete with the updates that follow it", () => {
  const checked = new Checked();
  expect(checked.check.onSnapshot(of(1), of(3))).toBe(false);
  checked.check.onUpdate(of(2));
  checked.check.onUpdate(of(3));
  checked.pass();
  expect(checked.asked).toBe(0);
  expect(checked.check.onSnapshot(of(1), of(3))).toBe(false);
});

test("if something is still missing when the next snapshot arrives, the server has lost it", () => {
  const checked = new Checked();
  expect(checked.check.onSnapshot(of(1), of(3))).toBe(false);
  checked.check.onUpdate(of(2));
  checked.pass();
  expect(checked.asked).toBe(1);
  expect(checked.check.onSnapshot(of(1), of(3))).toBe(true);
  // The page has begun again with what the server has.
  expect(checked.check.onSnapshot(of(2), of(2))).toBe(false);
  checked.pass();
  expect(checked.asked).toBe(1);
});

test("a change that is confirmed while a snapshot is on its way is not lost", () => {
  const checked = new Checked();
  expect(checked.check.onSnapshot(of(1), of(2))).toBe(false);
  checked.check.onUpdate(of(2));
  expect(checked.check.onSnapshot(of(2), of(3))).toBe(false);
  checked.pass();
  expect(checked.asked).toBe(1);
  checked.check.onUpdate(of(3));
  expect(checked.check.onSnapshot(of(3), of(3))).toBe(false);
});

test("nothing is requested after the end, nor after a snapshot that contains everything", () => {
  const checked = new Checked();
  checked.check.onSnapshot(of(1), of(3));
  checked.check.stop();
  checked.pass();
  checked.check.onSnapshot(of(3), of(3));
  checked.pass();
  expect(checked.asked).toBe(0);
});
