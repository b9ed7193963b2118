import { LIVE_SEARCH } from "@pylonsync/protocol";
import { expect, test } from "bun:test";
import { VirtualMachine } from "../../../../tests/support/virtual-machine.ts";
import { createSearchObserver } from "./server-read.ts";

interface Message {
  readonly type: string;
  readonly function?: string;
  readonly args?: { readonly spec: { readonly query: string } };
}

test("while words are typed, the first letter and the whole are searched for", async () => {
  const machine = new VirtualMachine();
  const searched: string[] = [];
  machine.onMessage = (text) => {
    const { type, function: name, args } = JSON.parse(text) as Message;
    if (type === "subscribe" && name === LIVE_SEARCH) searched.push(args?.spec.query ?? "");
  };
  const engine = machine.engine({ sync: "queries" });
  engine.start();
  const observe = createSearchObserver();
  let stop: () => void = () => undefined;
  const search = (query: string): void => {
    stop();
    stop = observe(engine, "Note", { query }).subscribe(() => undefined);
  };
  search("");
  await machine.until(() => searched.length > 0, 2_000);
  await machine.advance(1_000);
  for (const query of ["m", "mi", "mil", "milk"]) {
    search(query);
    await machine.advance(100);
  }
  await machine.advance(1_000);
  expect(searched).toEqual(["", "m", "milk"]);
  // A component that is removed does not search any more.
  search("b");
  await machine.advance(100);
  search("br");
  stop();
  await machine.advance(1_000);
  expect(searched.slice(3)).toEqual(["b"]);
  // Two fields do not delay each other, and one that is rendered again is not delayed.
  const again = createSearchObserver()(engine, "Note", { query: "bread" });
  again.subscribe(() => undefined)();
  again.subscribe(() => undefined);
  await machine.advance(50);
  expect(searched.slice(4)).toEqual(["bread"]);
  engine.stop();
});
