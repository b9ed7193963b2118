import { expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { localOf, TimeZone } from "./time-zone.ts";

const ZONES = ["Europe/Berlin", "Africa/Casablanca", "America/St_Johns", "Asia/Kolkata", "+05:30"];

/** The local time according to the runtime itself, to the second. */
function localBy(timeZone: string, moment: Date): string {
  const written = new Intl.DateTimeFormat("sv-SE", {
    timeZone,
    dateStyle: "short",
    timeStyle: "medium",
  }).format(moment);
  return `${written.replace(" ", "T")}.000Z`;
}

test("a zone's offsets give the local time of every moment between two moments", () => {
  const years = { min: new Date("1905-01-01"), max: new Date("2095-01-01"), noInvalidDate: true };
  fc.assert(
    fc.property(
      fc.constantFrom(...ZONES),
      fc.array(fc.date(years), { minLength: 3, maxLength: 9 }),
      (name, drawn) => {
        const moments = drawn.map((one) => new Date(Math.floor(one.getTime() / 1000) * 1000));
        const times = moments.map((one) => one.getTime());
        const [first, last] = [Math.min(...times), Math.max(...times)];
        const offsets =
          TimeZone.of(name)?.offsets(new Date(first).toISOString(), new Date(last).toISOString()) ??
          [];
        expect(offsets[0]?.from).toBeNull();
        for (const moment of moments)
          expect(localOf(moment.toISOString(), offsets)).toBe(localBy(name, moment));
      },
    ),
    { numRuns: 60 },
  );
});

test("the offsets of a zone are cached, whatever the spelling of its name", () => {
  const ask = (name: string) =>
    TimeZone.of(name)?.offsets("1950-01-01T00:00:00.000Z", "2050-01-01T00:00:00.000Z");
  const found = ask("Europe/Paris");
  const look = spyOn(Intl.DateTimeFormat.prototype, "formatToParts");
  try {
    expect(ask("europe/paris")).toEqual(found);
    expect(look).not.toHaveBeenCalled();
  } finally {
    look.mockRestore();
  }
  expect(found?.length).toBeGreaterThan(100);
});
