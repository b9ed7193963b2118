// A model for local use, which needs no key and gives every user the same answer: npx bun
// examples/ai-chat/fake-model.ts
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** The answer of a fake model, word by word. */
export type Words = (question: string) => AsyncIterable<string>;

/** A running fake model. */
export interface FakeModel {
  /** The value for PYLON_AI_BASE_URL. */
  readonly url: string;
  stop(): void;
}

/** Starts a server with the streaming API of chat completions. */
export async function startFakeModel(words: Words, port = 0): Promise<FakeModel> {
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const { messages } = JSON.parse(Buffer.concat(pieces).toString()) as {
        readonly messages: readonly { readonly content: string }[];
      };
      void answer(response, words(messages.at(-1)?.content ?? ""));
    });
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const { port: used } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${used}/v1`,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(response: ServerResponse, words: AsyncIterable<string>): Promise<void> {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  for await (const content of words) {
    if (response.destroyed) return;
    response.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
  }
  response.end("data: [DONE]\n\n");
}

async function* parrot(question: string): AsyncGenerator<string> {
  for (const word of `You have asked: ${question} I only repeat it, word by word.`.split(" ")) {
    await sleep(80);
    yield `${word} `;
  }
}

if (import.meta.main) {
  const { url } = await startFakeModel(parrot, 11434);
  console.log(`PYLON_AI_BASE_URL=${url}`);
}
