import { expect, test } from "bun:test";
import { safePath } from "./safe-path.ts";

test.each(["/", "/notes", "/notes?tab=1&next=https://x.example#top", "/a%2F%2Fb", "/@user"])(
  "T10: %s is a path of this site",
  (path) => {
    expect(safePath(path, "/fallback")).toBe(path);
  },
);

test.each([
  "https://evil.example",
  "//evil.example",
  "/\\evil.example",
  "\\/evil.example",
  "/\t/evil.example",
  "/\n/evil.example",
  "/..//evil.example",
  "/x/../..//evil.example",
  "javascript:alert(1)",
  "notes",
  "",
  " /notes",
  undefined,
  null,
  7,
])("T10: %p is replaced", (target) => {
  const path = safePath(target, "/fallback");
  expect(new URL(path, "https://here.example").origin).toBe("https://here.example");
  expect(path).toBe("/fallback");
});
