import { expect, test } from "bun:test";
import fc from "fast-check";
import { VirtualDocuments } from "../../../tests/support/virtual-documents.ts";
import { VirtualMachine } from "../../../tests/support/virtual-machine.ts";
import type { CollabDocument } from "./collab-document.ts";
import { EngineDocuments } from "./engine-documents.ts";
import { FieldBinding, type TextElement } from "./field-binding.ts";
import { LoroRegistry } from "./registry.ts";

const ROW = "Note/n1";

/** A text field of a page, which React renders when its value has changed. */
class Field {
  value = "";
  selectionStart = 0;
  selectionEnd = 0;
  selectionDirection = "none";
  readonly binding = new FieldBinding("body");
  readonly #document: CollabDocument;
  #shown: string | null = null;
  #isOutdated = false;

  constructor(document: CollabDocument) {
    this.#document = document;
    this.binding.attach(this as unknown as TextElement);
    const changed = (): void => {
      this.#isOutdated = true;
    };
    this.binding.follow(document, changed);
    document.onChange(changed);
    this.#isOutdated = true;
    this.render();
  }

  readonly #listeners = new Map<string, (event: KeyboardEvent) => void>();

  addEventListener(type: string, listener: (event: KeyboardEvent) => void): void {
    this.#listeners.set(type, listener);
  }

  /** Presses a key with Ctrl. @returns whether the browser does nothing more */
  press(key: string, shiftKey = false): boolean {
    let isPrevented = false;
    const preventDefault = (): void => {
      isPrevented = true;
    };
    const event = { key, shiftKey, ctrlKey: true, metaKey: false, altKey: false, preventDefault };
    this.#listeners.get("keydown")?.(event as unknown as KeyboardEvent);
    this.render();
    return isPrevented;
  }

  getRootNode(): { readonly activeElement: Field } {
    return { activeElement: this };
  }

  setSelectionRange(start: number, end: number): void {
    this.selectionStart = start;
    this.selectionEnd = end;
  }

  /** What React does before anything else can happen. */
  render(): void {
    if (!this.#isOutdated) return;
    this.#isOutdated = false;
    const value = this.binding.read(this.#document);
    if (value === this.#shown) return;
    this.#shown = value;
    if (value !== this.value) {
      this.value = value;
      this.setSelectionRange(value.length, value.length);
    }
    this.binding.rendered(value);
  }

  /** The user types: it replaces what is selected. */
  type(text: string): void {
    const { value, selectionStart: start, selectionEnd: end } = this;
    this.value = value.slice(0, start) + text + value.slice(end);
    this.setSelectionRange(start + text.length, start + text.length);
    this.binding.input(this.#document);
    this.render();
  }

  composed(): void {
    this.binding.composed(this.#document);
    this.render();
  }

  /** The selected text, and what is in front of it. */
  get selection(): readonly [before: string, selected: string] {
    const { value, selectionStart: start, selectionEnd: end } = this;
    return [value.slice(0, start), value.slice(start, end)];
  }
}

interface Page {
  readonly machine: VirtualMachine;
  readonly server: VirtualDocuments;
  readonly field: Field;
  /** Changes the text as another client does. */
  readonly other: (at: number, text: string) => Promise<void>;
  readonly close: () => void;
}

function open(): Page {
  const machine = new VirtualMachine();
  const server = new VirtualDocuments(machine);
  const engine = machine.engine({ reconnectDelay: 200 });
  engine.start();
  const documents = new EngineDocuments(engine, new LoroRegistry());
  const field = new Field(documents.use("Note", "n1").document);
  return {
    machine,
    server,
    field,
    other: async (at, text) => {
      server.edit(ROW, (body) => body.insert(Math.min(at, body.length), text));
      await machine.advance(10);
      field.render();
    },
    close: () => {
      documents.close();
      engine.stop();
    },
  };
}

async function opened(text: string): Promise<Page> {
  const page = open();
  page.server.create(ROW, { body: text });
  await page.machine.until(() => {
    page.field.render();
    return page.field.value === text;
  }, 5_000);
  return page;
}

test("the selection stays at its characters", async () => {
  const { field, other, close } = await opened("aaa bbb ccc");
  field.setSelectionRange(4, 7);
  await other(0, "Hi ");
  expect(field.selection).toEqual(["Hi aaa ", "bbb"]);
  await other(8, "x");
  expect(field.selection).toEqual(["Hi aaa ", "bxbb"]);
  await other(100, "!");
  expect(field.selection).toEqual(["Hi aaa ", "bxbb"]);
  field.type("y");
  expect(field.value).toBe("Hi aaa y ccc!");
  close();
});

test("the caret stays when the document arrives with the text that is shown", async () => {
  const { machine, server, field, close } = open();
  field.type("tw");
  field.setSelectionRange(1, 1);
  server.create(ROW, { body: "" });
  await machine.until(() => server.text(ROW) === "tw", 5_000);
  field.render();
  field.type("o");
  field.type("x");
  expect(field.value).toBe("toxw");
  close();
});

test("what is typed stays together, whatever others write elsewhere", async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("type" as const) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("other" as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom("create" as const, "wait" as const) }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const { machine, server, field, other, close } = open();
      let typed = "";
      let isCreated = false;
      const create = (): void => {
        if (!isCreated) server.create(ROW, { body: "<>" });
        isCreated = true;
      };
      for (const { do: what } of steps) {
        if (what === "type") {
          const key = String.fromCharCode("a".charCodeAt(0) + typed.length);
          typed += key;
          field.type(key);
        } else if (what === "create") create();
        else if (what === "wait" || !isCreated) await machine.advance(300);
        // Not where the user types: two insertions in one place may be merged in any order.
        else await other(server.text(ROW).indexOf("<") + 1, "-");
        field.render();
      }
      create();
      await machine.advance(5_000);
      field.render();
      expect(field.value).toBe(server.text(ROW));
      expect(field.value.replaceAll(/[<>-]/g, "")).toBe(typed);
      expect(field.value).toContain(typed);
      if (typed !== "") expect(field.selection[0].endsWith(typed)).toBe(true);
      close();
    }),
    { numRuns: 100 },
  );
}, 60_000);

test("undo takes back what the user has written, and not what others have", async () => {
  const { field, other, close } = await opened("one three");
  field.setSelectionRange(4, 4);
  field.type("two ");
  await other(0, "> ");
  await other(100, " four");
  expect(field.value).toBe("> one two three four");
  expect(field.press("z")).toBe(true);
  expect(field.value).toBe("> one three four");
  expect(field.selection).toEqual(["> one ", ""]);
  expect(field.press("z")).toBe(true);
  expect(field.value).toBe("> one three four");
  expect(field.press("z", true)).toBe(true);
  expect(field.selection).toEqual(["> one two ", ""]);
  expect(field.value).toBe("> one two three four");
  close();
});

test("before the document has arrived, the browser undoes", () => {
  const { field, close } = open();
  field.type("x");
  expect(field.press("z")).toBe(false);
  close();
});

test("while an input method composes, the text is not changed by others", async () => {
  const { server, field, other, machine, close } = await opened("tea");
  field.setSelectionRange(3, 3);
  field.binding.composing();
  field.type("o");
  await other(0, "green ");
  expect(field.value).toBe("teao");
  field.value = "teaお";
  field.setSelectionRange(4, 4);
  field.composed();
  expect(field.value).toBe("green teaお");
  expect(field.selection).toEqual(["green teaお", ""]);
  await machine.until(() => server.text(ROW) === "green teaお", 5_000);
  close();
});
