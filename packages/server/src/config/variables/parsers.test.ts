import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  amount,
  cookieName,
  exactOrigins,
  flag,
  headers,
  hosts,
  oneOf,
  origin,
  origins,
  pairs,
  sender,
  smtpUrl,
  whole,
} from "./parsers.ts";

test("a whole number is accepted only in its range, both ends included", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(), (a, b, number) => {
      const [min, max] = [Math.min(a, b), Math.max(a, b)];
      const parse = (): number => whole(min, max)(String(number));
      if (number < min || number > max) expect(parse).toThrow(RangeError);
      else expect(parse()).toBe(number);
    }),
  );
  for (const text of ["", " 1", "+1", "-0", "1.0", "1e0", "0x1", "NaN"])
    expect(() => whole(0, 9)(text)).toThrow(RangeError);
});

test("pairs are read as OpenTelemetry writes them, whatever the values contain", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9._-]{0,10}$/);
  fc.assert(
    fc.property(fc.dictionary(name, fc.string({ unit: "grapheme" })), (given) => {
      const text = Object.entries(given)
        .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
        .join(",");
      expect(pairs(text)).toEqual({ ...given });
    }),
  );
  for (const text of ["a", "=b", "a=%"]) expect(() => pairs(text)).toThrow();
  expect(() => headers("a b=c")).toThrow();
  expect(() => headers("a=x%0Ay")).toThrow();
  expect(headers("x-key=a%20b")).toEqual({ "x-key": "a b" });
});

test("words are accepted in any case, and no others", () => {
  const parse = oneOf("json", "text");
  expect([parse("JSON"), parse("text")]).toEqual(["json", "text"]);
  expect(() => parse("jso")).toThrow(RangeError);
  expect([flag("1"), flag("TRUE"), flag("0"), flag("False")]).toEqual([true, true, false, false]);
  expect(() => flag("yes")).toThrow(RangeError);
});

test("origins have a scheme, a host and a port, and nothing after", () => {
  expect(origins("https://a.example/, http://b.example:8080,*")).toEqual([
    "https://a.example",
    "http://b.example:8080",
    "*",
  ]);
  for (const text of ["a.example", "https://a.example/x", "https://a.example?x", ""])
    expect(() => origins(text)).toThrow();
  expect(() => exactOrigins("https://a.example,*")).toThrow(RangeError);
  expect(origin("https://a.example/")).toBe("https://a.example");
  for (const text of ["ftp://a.example", "https://u@a.example", "https://a.example/#x"])
    expect(() => origin(text)).toThrow(RangeError);
});

test("names, hosts and senders that could break a header are rejected", () => {
  expect(cookieName("__Host-app")).toBe("__Host-app");
  for (const text of ["a b", "a;b", "a=b", ""]) expect(() => cookieName(text)).toThrow(RangeError);
  expect(hosts("dev.example.com, .example.org")).toEqual(["dev.example.com", ".example.org"]);
  expect(() => hosts("example.com/x")).toThrow(RangeError);
  expect(sender("Shop <no-reply@example.com>")).toBe("Shop <no-reply@example.com>");
  for (const text of ["Shop", "a@b\r\nBcc: c@d", "Shop <a@b", "<a b@c>"])
    expect(() => sender(text)).toThrow(RangeError);
  expect(smtpUrl("smtps://u:p%40ss@mail.example.com")).toBe("smtps://u:p%40ss@mail.example.com");
  for (const text of ["smtp://", "http://mail.example.com", "smtp://u:%zz@mail.example.com"])
    expect(() => smtpUrl(text)).toThrow();
});

test("an amount is finite and not negative", () => {
  expect([amount("0"), amount("0.25"), amount("1e3")]).toEqual([0, 0.25, 1000]);
  for (const text of ["", " ", "-1", "Infinity", "x"])
    expect(() => amount(text)).toThrow(RangeError);
});
