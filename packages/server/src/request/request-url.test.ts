import { expect, test } from "bun:test";
import { originOf, pathOf, queryOf, urlOf } from "./request-url.ts";

const URLS = [
  "http://host/api/entities/Note?limit=5&offset=0",
  "http://host/api/entities/Note",
  "http://host/?",
  "http://host/a?b=c?d=e&b=2&empty=&bare",
  "http://host/a?text=%C3%A4%20b+c&plus=%2B",
  "http://host?limit=1",
];

test("the query is the same as that of the whole URL", () => {
  for (const url of URLS) {
    const request = new Request(url);
    expect([url, [...queryOf(request)]]).toEqual([url, [...urlOf(request).searchParams]]);
  }
});

test("the path is the part before the query, unchanged", () => {
  expect(URLS.map(pathOf)).toEqual([
    "/api/entities/Note",
    "/api/entities/Note",
    "/",
    "/a",
    "/a",
    "/",
  ]);
  expect(pathOf("/a%2Fb?x=://")).toBe("/a%2Fb");
  expect(originOf(new Request("http://host:81/a"))).toBe("http://host:81");
});
