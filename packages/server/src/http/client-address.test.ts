import { expect, test } from "bun:test";
import { clientAddress } from "./client-address.ts";

test.each([
  ["1.2.3.4", "1.2.3.4"],
  ["1.2.3.4:5678", "1.2.3.4"],
  ["[2001:db8::1]:80", "2001:db8::1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["2001:db8::1", "2001:db8::1"],
  ['"[2001:db8::1]:4711"', "2001:db8::1"],
  ["::ffff:1.2.3.4", "::ffff:1.2.3.4"],
  ["unknown", "9.9.9.9"],
  ["_hidden:80", "9.9.9.9"],
  ["", "9.9.9.9"],
])("D5: the entry %p of X-Forwarded-For is the address %p", (entry, address) => {
  expect(clientAddress("9.9.9.9", `5.6.7.8, ${entry}`, 1)).toBe(address);
});

test("the client's entry is as many from the right as there are proxies", () => {
  expect(clientAddress("9.9.9.9", "6.6.6.6, 1.2.3.4:1, 10.0.0.1:2", 2)).toBe("1.2.3.4");
  expect(clientAddress("9.9.9.9", "1.2.3.4", 0)).toBe("9.9.9.9");
});
