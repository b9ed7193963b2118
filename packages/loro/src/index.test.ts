import { expect, test } from "bun:test";
import * as loro from "./index.ts";

test("the names of the public system are exported", () => {
  expect(Object.keys(loro).toSorted()).toEqual([
    "CRDT_FRAME_SNAPSHOT",
    "CRDT_FRAME_UPDATE",
    "LoroRegistry",
    "decodeCrdtFrame",
    "detachLoro",
    "encodeCrdtFrame",
    "getLoroMap",
    "getLoroText",
    "globalRegistry",
    "useCollabText",
    "useLoroDoc",
  ]);
});

test.each([
  ["useCollabText", () => loro.useCollabText("Note", "n1", "body")],
  ["useLoroDoc", () => loro.useLoroDoc("Note", "n1")],
  ["getLoroText", () => loro.getLoroText({}, "body")],
  ["getLoroMap", () => loro.getLoroMap({}, "row")],
  ["LoroRegistry", () => new loro.LoroRegistry()],
  ["globalRegistry", () => loro.globalRegistry["get"]],
])("%s says what takes its place", (name, use) => {
  expect(use).toThrow(`${name} of @pylonsync/loro needs collaborative documents`);
  expect(use).toThrow("write it with db.update");
});

test("an app that stops its documents continues", () => {
  expect(() => loro.detachLoro()).not.toThrow();
});
