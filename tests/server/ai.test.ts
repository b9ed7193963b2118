import { afterAll, describe, expect, test } from "bun:test";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { query } from "@pylonsync/functions";
import { buildManifest, entity, field, type Plugin } from "@pylonsync/sdk";
import { aiProxy } from "@pylonsync/sdk/plugins";
import { TestClient, until, type Answer } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const KEY = "a-key-that-must-not-leave";
const WORDS = ["Hel", "lo\nyou", "!"];

type Json = Readonly<Record<string, unknown>>;
interface Asked {
  readonly path: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: Json;
}

/** A model server that speaks both common API formats and gives every request the same response. */
class ModelServer implements AsyncDisposable {
  readonly asked: Asked[] = [];
  /** The bytes written by an endless response. */
  written = 0;
  /** The number of responses that the client aborted. */
  broken = 0;
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }
  get url(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Json;
    this.asked.push({ path: request.url, headers: request.headers, body });
    const isOpenai = request.url?.endsWith("/chat/completions") === true;
    const said = JSON.stringify(body["messages"]);
    if (said.includes("fail")) {
      response.writeHead(500).end(`an inner text with ${KEY}`);
      return;
    }
    if (body["stream"] !== true) {
      response.end(JSON.stringify(isOpenai ? openaiWhole() : anthropicWhole()));
      return;
    }
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.on("close", () => {
      if (!response.writableFinished) this.broken += 1;
    });
    const part = isOpenai ? openaiPart : anthropicPart;
    if (said.includes("endless")) return this.#endless(response, part);
    if (said.includes("break")) {
      response.write(part("Hel"));
      response.write(isOpenai ? event({ error: {} }) : event({ type: "error" }));
      response.end();
      return;
    }
    response.write(isOpenai ? "" : event({ type: "message_start", message: USAGE_START }));
    for (const word of WORDS) response.write(part(word));
    response.end(isOpenai ? openaiEnd() : anthropicEnd());
  }

  #endless(response: ServerResponse, part: (text: string) => string): void {
    const text = part("x".repeat(16_000));
    const write = (): void => {
      let isFree = true;
      while (isFree && !response.destroyed) {
        isFree = response.write(text);
        this.written += text.length;
        if (this.written > 64_000_000) return;
      }
    };
    response.on("drain", write);
    write();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const USAGE_START = { usage: { input_tokens: 7, output_tokens: 1 } };
const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;
const openaiPart = (content: string): string => event({ choices: [{ delta: { content } }] });
const openaiWhole = () => ({
  choices: [{ message: { role: "assistant", content: WORDS.join("") }, finish_reason: "stop" }],
  usage: { prompt_tokens: 7, completion_tokens: 3 },
});
const openaiEnd = (): string =>
  event({ choices: [{ delta: {}, finish_reason: "stop" }] }) +
  event({ choices: [], usage: openaiWhole().usage }) +
  "data: [DONE]\n\n";
const anthropicPart = (text: string): string =>
  event({ type: "content_block_delta", delta: { type: "text_delta", text } });
const anthropicWhole = () => ({
  type: "message",
  content: [{ type: "text", text: WORDS.join("") }],
  stop_reason: "end_turn",
  usage: { input_tokens: 7, output_tokens: 3 },
});
const anthropicEnd = (): string =>
  event({
    type: "message_delta",
    delta: { stop_reason: "end_turn" },
    usage: { output_tokens: 3 },
  }) + event({ type: "message_stop" });

const servers: TestServer[] = [];
const models: ModelServer[] = [];
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await Promise.all(models.map((model) => model[Symbol.asyncDispose]()));
});

async function open(
  env: Record<string, string> = {},
  { provider = "openai", plugins = [] as Plugin[] } = {},
) {
  const model = await new ModelServer().start();
  models.push(model);
  const app = appOf(
    buildManifest({
      name: "ai",
      version: "1.0.0",
      entities: [
        entity("User", { email: field.string().unique(), passwordHash: field.string().hidden() }),
      ],
      plugins,
      auth: {
        user: { entity: "User" },
        hooks: { claims: ({ user }) => ({ roles: [String(user["email"]).split("@")[0] ?? ""] }) },
      },
    }),
    { key: query({ args: {}, handler: ({ env: own }) => own["PYLON_AI_API_KEY"] ?? null }) },
  );
  const server = await startServer(app, {
    PYLON_AI_PROVIDER: provider,
    PYLON_AI_API_KEY: KEY,
    PYLON_AI_MODEL: "small",
    PYLON_AI_BASE_URL: `${model.url}${provider === "openai" ? "/v1" : ""}`,
    ...env,
  });
  servers.push(server);
  const register = async (email: string): Promise<TestClient> => {
    const { body } = await new TestClient(server.url, null).request(
      "POST",
      "/api/auth/password/register",
      { email, password: "a long enough passw0rd" },
    );
    return new TestClient(server.url, String(body["token"]), String(body["user_id"]));
  };
  return { server, model, register, user: await register("member@example.com") };
}

const complete = (client: TestClient, body: unknown): Promise<Answer> =>
  client.request("POST", "/api/ai/complete", body);
const stream = (client: TestClient, body: unknown): Promise<Answer> =>
  client.request("POST", "/api/ai/stream", body);

describe.each(["openai", "anthropic"])("a model that speaks the %s API", (provider) => {
  test("responds whole or in parts, with token usage; the key stays on the server", async () => {
    const { user, model } = await open({}, { provider });
    const reason = provider === "openai" ? "stop" : "end_turn";
    const result = {
      content: "Hello\nyou!",
      model: "small",
      stop_reason: reason,
      usage: { input_tokens: 7, output_tokens: 3 },
    };
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hi" },
      { role: "user", content: "Again" },
    ];
    const whole = await complete(user, { messages, max_tokens: 10, temperature: 0.5 });
    expect([whole.status, whole.body]).toEqual([200, result]);
    const parts = await stream(user, { prompt: "Hi", system: "Be brief." });
    expect(parts.text).toBe(
      "data: Hel\n\ndata: lo\ndata: you\n\ndata: !\n\n" +
        `event: result\ndata: ${JSON.stringify(result)}\n\n`,
    );
    const [first, second] = model.asked;
    const turns = messages.slice(1);
    if (provider === "openai") {
      expect(first?.path).toBe("/v1/chat/completions");
      expect(first?.headers.authorization).toBe(`Bearer ${KEY}`);
      expect(first?.body).toEqual({ model: "small", messages, max_tokens: 10, temperature: 0.5 });
      expect(second?.body).toMatchObject({ stream: true, stream_options: { include_usage: true } });
    } else {
      expect(first?.path).toBe("/v1/messages");
      expect(first?.headers["x-api-key"]).toBe(KEY);
      expect(first?.headers["anthropic-version"]).toBe("2023-06-01");
      expect(first?.body).toEqual({
        model: "small",
        system: "Be brief.",
        messages: turns,
        max_tokens: 10,
        temperature: 0.5,
      });
      expect(second?.body).toMatchObject({ stream: true, max_tokens: 4096 });
    }
    expect(whole.text + parts.text).not.toContain(KEY);
  });

  test("that fails is a 502, or an error event mid-stream, without the model's text", async () => {
    const { user } = await open({}, { provider });
    for (const ask of [complete, stream]) {
      const answer = await ask(user, { prompt: "fail" });
      expect(answer).toMatchObject({ status: 502, body: { error: { code: "AI_FAILED" } } });
      expect(answer.text).not.toContain("inner");
    }
    const broken = await stream(user, { prompt: "break" });
    expect(broken.text).toStartWith('data: Hel\n\nevent: error\ndata: {"code":"AI_FAILED"');
  });
});

test("memory is bounded for a slow reader, and the model stops when it leaves", async () => {
  const { user, model } = await open();
  const abort = new AbortController();
  const response = await fetch(`${user.url}/api/ai/stream`, {
    method: "POST",
    headers: { Authorization: `Bearer ${user.token}` },
    body: JSON.stringify({ prompt: "endless" }),
    signal: abort.signal,
  });
  const reader = response.body?.getReader();
  await reader?.read();
  let before = -1;
  await until(async () => {
    if (before === model.written) return true;
    before = model.written;
    await Bun.sleep(200);
    return false;
  });
  expect(model.written).toBeLessThan(32_000_000);
  abort.abort();
  await until(() => model.broken === 1);
});

test("requests per minute and tokens per day are limited per user", async () => {
  const { user, register } = await open({ PYLON_AI_RATE_LIMIT_MAX: "2" });
  const ask = async (client: TestClient): Promise<unknown> =>
    (await complete(client, { prompt: "Hi" })).status;
  expect([await ask(user), await ask(user), await ask(user)]).toEqual([200, 200, 429]);
  expect(await ask(await register("other@example.com"))).toBe(200);

  // Guests are free to create.
  const guests = await open(
    { PYLON_AI_RATE_LIMIT_MAX: "2" },
    { plugins: [aiProxy({ guests: true })] },
  );
  const newGuest = (): Promise<TestClient> => TestClient.guest(guests.server.url);
  expect(await ask(await newGuest())).toBe(200);
  expect(await ask(await newGuest())).toBe(200);
  expect(await ask(await newGuest())).toBe(429);

  const tokens = await open({ PYLON_AI_TOKENS_PER_DAY: "15" });
  expect([await ask(tokens.user), await ask(tokens.user), await ask(tokens.user)]).toEqual([
    200, 200, 429,
  ]);
  const other = await tokens.register("other@example.com");
  expect((await stream(other, { prompt: "Hi" })).status).toBe(200);
  expect((await stream(other, { prompt: "Hi" })).status).toBe(200);
  expect(await stream(other, { prompt: "Hi" })).toMatchObject({
    status: 429,
    body: { error: { code: "RATE_LIMITED", retry_after_secs: expect.any(Number) } },
  });
});

test("only users may call it, with the roles and models that the app allows", async () => {
  const plugins = [aiProxy({ models: ["large"], roles: ["member"] })];
  const { server, user, register, model } = await open({}, { plugins });
  const status = async (client: TestClient, body: object = {}): Promise<number> =>
    (await complete(client, { prompt: "Hi", ...body })).status;
  expect(await status(user, { model: "large" })).toBe(200);
  expect(model.asked[0]?.body["model"]).toBe("large");
  expect(await status(user, { model: "other" })).toBe(400);
  expect(await status(await register("guest@example.com"))).toBe(403);
  expect(await status(await TestClient.guest(server.url))).toBe(403);
  expect(await status(new TestClient(server.url, null))).toBe(401);
  expect(await status(new TestClient(server.url, ADMIN_TOKEN))).toBe(200);
});

test("a server without a model returns 503, and functions still see their own key", async () => {
  const { user } = await open({ PYLON_AI_PROVIDER: "" });
  for (const ask of [complete, stream])
    expect(await ask(user, { prompt: "Hi" })).toMatchObject({
      status: 503,
      body: { error: { code: "AI_NOT_CONFIGURED" } },
    });
  expect((await user.request("POST", "/api/fn/key", {})).body as unknown).toBe(KEY);
});

test.each([
  [{}, "messages"],
  [{ messages: [] }, "messages"],
  [{ messages: [{ role: "tool", content: "x" }] }, "messages[0]"],
  [{ messages: [{ role: "user", content: 1 }] }, "messages[0]"],
  [{ messages: [{ role: "system", content: "x" }] }, "messages"],
  [{ prompt: "x", messages: [{ role: "user", content: "x" }] }, "prompt"],
  [{ prompt: "x", max_tokens: 5000 }, "max_tokens"],
  [{ prompt: "x", temperature: 3 }, "temperature"],
  [{ prompt: "x", sytem: "x" }, "sytem"],
])("invalid input is rejected with the name of its field: %#", async (body, fieldName) => {
  const { user } = await once();
  expect(await complete(user, body)).toMatchObject({
    status: 400,
    body: { error: { code: "INVALID_DATA", field: fieldName } },
  });
});

let opened: ReturnType<typeof open> | undefined;
const once = (): ReturnType<typeof open> => (opened ??= open());

test("a missing or unknown setting prevents the start", async () => {
  const refusal = (env: Record<string, string>, plugins: Plugin[] = []): Promise<string> =>
    open(env, { plugins }).then(
      () => "",
      (error: unknown) => String(error),
    );
  expect(await refusal({ PYLON_AI_MODEL: "" })).toContain("PYLON_AI_MODEL is not set");
  expect(await refusal({ PYLON_AI_API_KEY: "", PYLON_AI_BASE_URL: "" })).toContain(
    "PYLON_AI_API_KEY is not set",
  );
  expect(await refusal({ PYLON_AI_PROVIDER: "other" })).toContain("openai or anthropic");
  const wrong = { name: "ai_proxy", config: { roles: "member" } };
  expect(await refusal({}, [wrong])).toContain("must be a list of names");
  expect(await refusal({}, [{ name: "ai_proxy", config: { role: [] } }])).toContain("roles");
});
