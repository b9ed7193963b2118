import { expect, test } from "bun:test";
import fc from "fast-check";
import { predict } from "./prediction.ts";

/**
 * Every order of inputs has a different result, so that an omitted or repeated input is detected.
 */
const step = (state: number, input: number): number => (state * 31 + input + 7) % 1_000_003;

test("the state is the server's, with each input that it has not applied", () => {
  const act = fc.oneof(
    fc.record({ kind: fc.constant("input" as const), input: fc.nat(100) }),
    fc.record({ kind: fc.constant("server" as const), applies: fc.nat(5), adds: fc.nat(100) }),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const prediction = predict({ state: 1, step });
      const inputs: number[] = [];
      // The server lags behind, and makes changes that no client predicts.
      const server = { state: 1, ack: 0 };
      for (const one of acts) {
        const before = prediction.state;
        if (one.kind === "input") {
          inputs.push(one.input);
          prediction.apply(inputs.length, one.input);
        } else {
          const applied = inputs.slice(server.ack, server.ack + one.applies);
          server.ack += applied.length;
          server.state = applied.reduce(step, server.state) + one.adds;
          expect(prediction.reconcile(server.state, server.ack)).toBe(before);
        }
        expect(prediction.pending).toBe(inputs.length - server.ack);
        if (one.kind === "server")
          expect(prediction.state).toBe(inputs.slice(server.ack).reduce(step, server.state));
        else expect(prediction.state).toBe(step(before, one.input));
      }
    }),
  );
});

test("a server that does what was predicted changes nothing", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100), { maxLength: 30 }), fc.nat(30), (inputs, acked) => {
      const prediction = predict({ state: 1, step });
      inputs.forEach((input, index) => prediction.apply(index + 1, input));
      const before = prediction.state;
      prediction.reconcile(inputs.slice(0, acked).reduce(step, 1), acked);
      expect(prediction.state).toBe(before);
    }),
  );
});

test("before the first ack all inputs are applied again", () => {
  const prediction = predict({ state: 0, step: (state, input: number) => state + input });
  prediction.apply(1, 1);
  prediction.apply(2, 2);
  prediction.reconcile(10, null);
  expect([prediction.state, prediction.pending]).toEqual([13, 2]);
});

test("a bounded number of unacknowledged inputs is kept", () => {
  const step = (state: number, input: number): number => state + input;
  const prediction = predict({ state: 0, step, maxPending: 3 });
  for (let seq = 1; seq <= 10; seq += 1) prediction.apply(seq, 1);
  expect([prediction.state, prediction.pending]).toEqual([10, 3]);
  prediction.reconcile(0, null);
  expect(prediction.state).toBe(3);
});
