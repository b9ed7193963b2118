import { expect, test } from "bun:test";
import fc from "fast-check";
import { cleanFileName, contentDisposition, decodeFileName } from "./file-name.ts";

const odd = fc.string({
  unit: fc.constantFrom("/", "\\", ".", "a", "\n", "\0", "\u202e", '"', "é", "\ud800"),
});

test("whatever a client calls a file, its name is one well-formed path segment", () => {
  fc.assert(
    fc.property(odd, (name) => {
      const clean = cleanFileName(name);
      for (const bad of ["/", "\\", "\n", "\0", "\u202e"]) expect(clean).not.toContain(bad);
      expect([".", "..", ""]).not.toContain(clean);
      expect(clean.isWellFormed()).toBe(true);
      expect(clean.length).toBeLessThanOrEqual(255);
    }),
  );
  expect(cleanFileName("C:\\docs\\a report.pdf")).toBe("a report.pdf");
  expect(cleanFileName("../../etc/passwd")).toBe("passwd");
  expect(cleanFileName("..")).toBe("file");
});

test("the header is one line of ASCII that names the file and contains its full name", () => {
  fc.assert(
    fc.property(odd.map(cleanFileName), (name) => {
      const header = contentDisposition("attachment", name);
      expect(header).toMatch(/^[\x20-\x7e]*$/);
      const whole = /filename\*=UTF-8''(.*)$/.exec(header)?.[1];
      const plain = /filename="([^"]*)"/.exec(header)?.[1];
      expect(whole === undefined ? plain : decodeURIComponent(whole)).toBe(name);
    }),
  );
  expect(contentDisposition("inline", "café.txt")).toBe(
    `inline; filename="caf_.txt"; filename*=UTF-8''caf%C3%A9.txt`,
  );
});

test("a name in a header is decoded if it is encoded", () => {
  expect(decodeFileName("caf%C3%A9.txt")).toBe("café.txt");
  expect(decodeFileName("100%.txt")).toBe("100%.txt");
});
