import { expect, test } from "bun:test";
import fc from "fast-check";
import { FramePacker, unpackFrames } from "./frame-pack.ts";

type Frame = readonly [connection: number, bytes: readonly number[]];

function passOn(packer: FramePacker, frames: readonly Frame[]): Frame[] {
  const scratch = new Uint8Array(8192);
  for (const [connection, bytes] of frames) {
    // The bytes of a frame are overwritten by the next one.
    scratch.fill(0).set(bytes);
    packer.add(connection, scratch.subarray(0, bytes.length));
  }
  const pack = packer.take();
  const received: Frame[] = [];
  if (pack !== null)
    unpackFrames(structuredClone(pack), (connection, frame) =>
      received.push([connection, [...frame]]),
    );
  return received;
}

test("frames arrive as they were sent, in order, whatever they contain", () => {
  const frame = fc.tuple(fc.nat(2 ** 30), fc.array(fc.nat(3), { maxLength: 4 }));
  fc.assert(
    fc.property(fc.array(fc.array(frame, { maxLength: 8 }), { maxLength: 4 }), (reports) => {
      const packer = new FramePacker();
      for (const frames of reports) expect(passOn(packer, frames)).toEqual(frames);
    }),
  );
});

test("equal frames are written once, and large ones have room", () => {
  const packer = new FramePacker();
  for (let connection = 1; connection <= 50; connection += 1)
    packer.add(connection, Uint8Array.of(1, 2, 3));
  expect(packer.take()?.bytes).toEqual(Uint8Array.of(1, 2, 3));
  const large: Frame[] = [1, 2].map((value) => [value, Array<number>(5000).fill(value)]);
  expect(passOn(packer, large)).toEqual(large);
  expect(packer.take()).toBeNull();
});
