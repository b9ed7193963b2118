import { expect, test } from "bun:test";
import fc from "fast-check";
import { bearerProtocol, parseBearerProtocol } from "./socket.ts";

const token = fc
  .string({ unit: "grapheme-ascii", minLength: 1 })
  .filter((text) => text.trim() !== "");

test("a token that a browser sends as a subprotocol is the token that the server reads", () => {
  const others = fc.array(fc.constantFrom("json", "v1", ""), { maxLength: 2 });
  fc.assert(
    fc.property(token, others, others, (sent, before, after) => {
      const protocol = bearerProtocol(sent);
      // The names of subprotocols are tokens of HTTP.
      expect(protocol).toMatch(/^[\w.!~*'()%-]+$/);
      const header = [...before, protocol, ...after].join(", ");
      expect(parseBearerProtocol(header)).toEqual({ token: sent, protocol });
    }),
  );
});

test("a text without a token has none", () => {
  for (const header of [null, "", "json", "bearer.", "bearer.%", "json, bearer.%zz", "xbearer.a"])
    expect(parseBearerProtocol(header)).toBeNull();
});
