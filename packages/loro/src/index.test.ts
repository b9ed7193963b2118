import { expect, test } from "bun:test";
import { LoroDoc, LoroMap, LoroText } from "loro-crdt";
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
    "useCollabTextarea",
    "useLoroDoc",
  ]);
});

/** A row's document, as the server makes it. */
function documentOf(body: string): LoroDoc {
  const document = new LoroDoc();
  document.getMap("row").setContainer("body", new LoroText()).insert(0, body);
  document.commit();
  return document;
}

test("texts and maps are found in the map of the row", () => {
  const document = documentOf("Hello");
  document.getMap("row").setContainer("meta", new LoroMap()).set("size", 3);
  expect(loro.getLoroText(document, "body").toString()).toBe("Hello");
  expect(new Set(loro.getLoroMap(document, "row").keys())).toEqual(new Set(["body", "meta"]));
  expect(loro.getLoroMap(document, "meta").toJSON()).toEqual({ size: 3 });
});

test("looking for what is not there does not change a document", () => {
  const document = documentOf("Hello");
  const before = document.oplogVersion().toJSON();
  loro.getLoroText(document, "title").insert(0, "x");
  loro.getLoroMap(document, "meta").set("x", 1);
  document.commit();
  expect(document.toJSON()).toEqual({ row: { body: "Hello" } });
  expect(document.oplogVersion().toJSON()).toEqual(before);
});

test("an app that stops its documents continues", () => {
  expect(() => loro.detachLoro()).not.toThrow();
});

test("a registry imports frames, and tells the listeners of the row", () => {
  const registry = new loro.LoroRegistry();
  const heard: string[] = [];
  const stop = registry.subscribe("Note", "n1", () => {
    heard.push(loro.getLoroText(registry.doc("Note", "n1"), "body").toString());
  });
  registry.subscribe("Note", "n2", () => heard.push("n2"));
  const payload = documentOf("Hello").export({ mode: "snapshot" });
  const frame = { type: loro.CRDT_FRAME_SNAPSHOT, entity: "Note", rowId: "n1", payload } as const;
  expect(registry.applyBinaryFrame(loro.encodeCrdtFrame(frame))).toBe(true);
  expect(heard).toEqual(["Hello"]);
  expect(registry.cachedRows()).toEqual([{ entity: "Note", rowId: "n1" }]);
  stop();
  registry.evict("Note", "n1");
  expect(heard).toEqual(["Hello"]);
  expect(registry.cachedRows()).toEqual([]);
  expect(registry.doc("Note", "n1").toJSON()).toEqual({});
});

test("a registry takes neither other bytes nor invalid content", () => {
  const registry = new loro.LoroRegistry();
  expect(registry.applyBinaryFrame(new Uint8Array([1, 2, 3]))).toBe(false);
  const frame = { type: loro.CRDT_FRAME_UPDATE, entity: "Note", rowId: "n1" } as const;
  const payload = new Uint8Array([1, 2, 3]);
  expect(registry.applyBinaryFrame(loro.encodeCrdtFrame({ ...frame, payload }))).toBe(false);
});

test("the documents of the page are in a registry, which apps may read", () => {
  const { globalRegistry } = loro;
  expect(globalRegistry.cachedRows()).toEqual([]);
  const payload = documentOf("Shared").export({ mode: "snapshot" });
  const frame = { type: loro.CRDT_FRAME_SNAPSHOT, entity: "Note", rowId: "n9", payload } as const;
  expect(globalRegistry.applyBinaryFrame(loro.encodeCrdtFrame(frame))).toBe(true);
  expect(globalRegistry.cachedRows()).toEqual([{ entity: "Note", rowId: "n9" }]);
  globalRegistry.evict("Note", "n9");
  expect(globalRegistry.cachedRows()).toEqual([]);
});
