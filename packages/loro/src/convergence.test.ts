import { expect, test } from "bun:test";
import { openTextDisk, type TextStore } from "@pylonsync/sync/text-disk";
import type { SyncEngine } from "@pylonsync/sync";
import fc from "fast-check";
import { SharedTabs } from "../../../tests/support/shared-tabs.ts";
import { VirtualDocuments } from "../../../tests/support/virtual-documents.ts";
import { VirtualMachine } from "../../../tests/support/virtual-machine.ts";
import type { CollabDocument } from "./collab-document.ts";
import { EngineDocuments } from "./engine-documents.ts";
import { LoroRegistry } from "./registry.ts";

// Pages of one browser that write, lose the network and are reloaded at any moment, while others
// write too: nothing is lost, nothing appears twice, and all have the same text in the end.

const ROW = "Note/n1";
const RUNS = Number(process.env["PYLON_CONVERGENCE_RUNS"] ?? 60);

type Step =
  | { readonly do: "write"; readonly page: number; readonly at: number }
  | { readonly do: "other" | "create" | "cut" | "offline" | "online" | "drop" | "lose" }
  | { readonly do: "reload"; readonly page: number }
  | { readonly do: "wait"; readonly ms: number };

const steps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ do: fc.constant("write"), page: fc.nat(1), at: fc.nat() }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("other") }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constantFrom("create", "cut", "offline", "online") }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("drop", "lose") }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("reload"), page: fc.nat(1) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("wait"), ms: fc.nat(3_000) }) },
  ),
  { maxLength: 30 },
) as fc.Arbitrary<readonly Step[]>;

interface Page {
  readonly engine: SyncEngine;
  readonly documents: EngineDocuments;
  readonly document: CollabDocument;
}

class Browser {
  readonly machine = new VirtualMachine();
  readonly server = new VirtualDocuments(this.machine);
  readonly #texts = new Map<string, string>();
  readonly #tabs = new SharedTabs();
  readonly pages: Page[] = [];
  readonly written: string[] = [];
  isCreated = false;

  constructor() {
    this.pages.push(this.#open(), this.#open());
  }

  #open(): Page {
    const store: TextStore = {
      keys: async (prefix) => [...this.#texts.keys()].filter((key) => key.startsWith(prefix)),
      read: async (keys) => keys.map((key) => this.#texts.get(key) ?? null),
      write: async (written) => {
        for (const [key, text] of written) this.#texts.set(key, text);
      },
      remove: async (keys) => {
        for (const key of keys) this.#texts.delete(key);
      },
    };
    const engine = this.machine.engine({
      reconnectDelay: 200,
      platform: {
        ...this.machine.platform,
        tabs: this.#tabs.platformOf({}),
        openDisk: (app, server) => openTextDisk(store, app, server),
      },
    });
    engine.start();
    const documents = new EngineDocuments(engine, new LoroRegistry());
    return { engine, documents, document: documents.use("Note", "n1").document };
  }

  async run(step: Step): Promise<void> {
    const { machine, server } = this;
    switch (step.do) {
      case "write":
        return this.#write(step);
      case "other":
        if (this.isCreated) server.edit(ROW, (text) => text.insert(0, this.#token()));
        return;
      case "create":
        if (!this.isCreated) server.create(ROW, { body: "" });
        this.isCreated = true;
        return;
      case "drop":
        if (this.isCreated) server.dropHistory(ROW);
        return;
      case "lose":
        server.losesNext = true;
        return;
      case "cut":
        return machine.cut();
      case "offline":
        machine.network = "down";
        return machine.cut();
      case "online":
        machine.network = "up";
        return machine.goOnline();
      case "reload":
        // What was written is on disk after a moment, as after a key press.
        await machine.advance(5);
        return this.#reload(step.page);
      case "wait":
        return machine.advance(step.ms);
    }
  }

  #write({ page, at }: { readonly page: number; readonly at: number }): void {
    const document = this.pages[page]?.document;
    if (document === undefined) return;
    const text = document.text("body");
    // Between two tokens, which stay whole.
    const start = text.lastIndexOf(";", at % (text.length + 1)) + 1;
    document.edit("body", { start, removed: 0, inserted: this.#token() });
  }

  #token(): string {
    const token = `${this.written.length}`;
    this.written.push(token);
    return `${token};`;
  }

  #reload(index: number): void {
    this.close(index);
    this.pages[index] = this.#open();
  }

  close(index: number): void {
    const page = this.pages[index];
    page?.documents.close();
    page?.engine.stop();
  }

  async settle(): Promise<void> {
    await this.run({ do: "create" });
    await this.run({ do: "online" });
    await this.machine.advance(90_000);
  }
}

test("nothing that is written is lost or appears twice", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      const browser = new Browser();
      try {
        for (const step of taken) await browser.run(step);
        await browser.settle();
        const text = browser.server.text(ROW);
        for (const { document } of browser.pages) expect(document.text("body")).toBe(text);
        const tokens = text.split(";").filter((token) => token !== "");
        expect(tokens.toSorted(byNumber)).toEqual(browser.written);
      } finally {
        browser.close(0);
        browser.close(1);
      }
    }),
    { numRuns: RUNS },
  );
}, 120_000);

function byNumber(one: string, other: string): number {
  return Number(one) - Number(other);
}
