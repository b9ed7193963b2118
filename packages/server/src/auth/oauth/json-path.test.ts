import { expect, test } from "bun:test";
import { at, idAt, isTrueAt, listAt, textAt } from "./json-path.ts";

const ANSWER = {
  data: [{ id: 7, name: "Ann" }],
  user: { verified: "true", empty: "", big: 2 ** 60, nothing: null },
};

test("values are found by their path, through objects and arrays", () => {
  expect(at(ANSWER, "data.0.name")).toBe("Ann");
  expect(at(ANSWER, "data.1.name")).toBeUndefined();
  expect(at(ANSWER, "user.nothing.name")).toBeUndefined();
  expect(at(null, "a")).toBeUndefined();
});

test("an inherited property is not a value of the object", () => {
  for (const path of ["constructor", "data.0.toString", "user.__proto__", "data.length.x"])
    expect(at(ANSWER, path)).toBeUndefined();
});

test("a value of another kind is absent", () => {
  expect([textAt(ANSWER, "data.0.name"), textAt(ANSWER, "user.empty")]).toEqual(["Ann", undefined]);
  expect(textAt(ANSWER, "data.0.id")).toBeUndefined();
  expect([idAt(ANSWER, "data.0.id"), idAt(ANSWER, "data.0.name")]).toEqual(["7", "Ann"]);
  expect(idAt(ANSWER, "user.big")).toBeUndefined();
  expect([isTrueAt(ANSWER, "user.verified"), isTrueAt(ANSWER, "user.big")]).toEqual([true, false]);
  expect([listAt(ANSWER, "data"), listAt(ANSWER, "user"), listAt([1], "")]).toEqual([
    ANSWER.data,
    [],
    [1],
  ]);
});
