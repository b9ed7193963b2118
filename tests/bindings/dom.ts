import { Window } from "happy-dom";

/** The globals that frameworks expect in a page. */
const NAMES = [
  "window",
  "document",
  "Node",
  "Element",
  "HTMLElement",
  "SVGElement",
  "Text",
  "Comment",
  "DocumentFragment",
  "MutationObserver",
  "Event",
  "CustomEvent",
];

/** Makes this process a page until the returned function is called. */
export function openPage(): () => Promise<void> {
  const window = new Window({ url: "http://localhost/" });
  const before = NAMES.map((name) => [name, Reflect.get(globalThis, name)] as const);
  for (const name of NAMES) Reflect.set(globalThis, name, Reflect.get(window, name));
  return async () => {
    for (const [name, value] of before) Reflect.set(globalThis, name, value);
    await window.happyDOM.close();
  };
}
