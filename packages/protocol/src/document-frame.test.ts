import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  CRDT_FRAME_SNAPSHOT,
  CRDT_FRAME_UPDATE,
  decodeCrdtFrame,
  encodeCrdtFrame,
  type CrdtFrame,
} from "./document-frame.ts";

const frames: fc.Arbitrary<CrdtFrame> = fc.record({
  type: fc.constantFrom(CRDT_FRAME_SNAPSHOT, CRDT_FRAME_UPDATE),
  entity: fc.string({ unit: "grapheme" }),
  rowId: fc.string({ unit: "grapheme" }),
  payload: fc.uint8Array(),
});

test("a frame has the layout of the wire format", () => {
  const payload = new Uint8Array([9, 8]);
  const frame = { type: CRDT_FRAME_UPDATE, entity: "Né", rowId: "r1", payload } as const;
  expect([...encodeCrdtFrame(frame)]).toEqual([
    ...[0x11, 0, 3, 0x4e, 0xc3, 0xa9, 0, 2, 0x72, 0x31, 9, 8],
  ]);
});

test("an encoded frame is decoded", () => {
  fc.assert(
    fc.property(frames, (frame) => {
      expect(decodeCrdtFrame(encodeCrdtFrame(frame))).toEqual(frame);
    }),
  );
});

test("no bytes make it throw, and none of another type are a frame", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const frame = decodeCrdtFrame(bytes);
      if (frame !== null) expect(encodeCrdtFrame(frame)).toEqual(bytes);
    }),
  );
  expect(decodeCrdtFrame(new Uint8Array([0x12, 0, 0, 0, 0]))).toBeNull();
  expect(decodeCrdtFrame(new Uint8Array([0x10, 0, 5, 65]))).toBeNull();
  expect(decodeCrdtFrame(new Uint8Array([0x10, 0, 1, 0xff, 0, 0]))).toBeNull();
});

test("a name that is too long is rejected", () => {
  const frame = { type: CRDT_FRAME_SNAPSHOT, rowId: "", payload: new Uint8Array() } as const;
  expect(() => encodeCrdtFrame({ ...frame, entity: "x".repeat(65_536) })).toThrow(RangeError);
});
