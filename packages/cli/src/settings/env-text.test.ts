import { expect, test } from "bun:test";
import { parseEnv } from "node:util";
import { parseEnvText } from "./env-text.ts";

test.each([
  ["A=postgres://app:p#ss@host/db", "postgres://app:p#ss@host/db"],
  ["A=#fff", "#fff"],
  ["A=a#b#c # a comment # more", "a#b#c"],
  ['A="a # b" # comment', "a # b"],
  ["A='a # b'", "a # b"],
])("U: %p keeps its #", (line, value) => {
  expect(parseEnvText(`${line}\nB=1\n`)).toEqual({ A: value, B: "1" });
});

test.each([
  "",
  "A=1",
  "A=1\nB=2\n",
  "A=1\r\nB=2\r\n",
  "# A=1\n\n  # B=2\nC=3",
  "export A=1\n\texport B=2",
  "A = spaced out \n B=\n C=   ",
  "A= # only a comment\nB=1",
  "A='single' \nB=`back`\nC=\"double\"",
  "A=\"two\\nlines\"\nB=two\\nlines\nC='two\\nlines'",
  'A="first\nsecond"\nB=1',
  "A='first\nB=inside\nlast'\nC=1",
  "A=\"it's\"\nB='\"x\"'\nC=it's",
  'A="never closed\nB=1',
  "A=$B\nB=\\$A",
  "A=a=b=c",
  "A=1\nA=2",
  "no assignment\nA=1",
  "A.b-c=1\n1A=2",
])("U: %p is read as Node reads it", (text) => {
  expect(parseEnvText(text)).toEqual(parseEnv(text) as Record<string, string>);
});
