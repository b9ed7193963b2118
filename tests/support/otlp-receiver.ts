/** A span in OTLP's JSON format, with its attributes as an object. */
export interface ReceivedSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
}

export interface ReceivedRecord {
  readonly body: string;
  readonly severity: string;
  readonly traceId?: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

interface Post {
  readonly path: string;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

type Json = Readonly<Record<string, unknown>>;

/** A real receiver of OTLP over HTTP: it stores what it receives, and reads http/json. */
export class OtlpReceiver {
  readonly posts: Post[] = [];
  /** The status of its responses; 200 means accepted. */
  status = 200;
  readonly #server: Bun.Server<undefined>;

  constructor(port = 0) {
    this.#server = Bun.serve({
      port,
      hostname: "127.0.0.1",
      fetch: async (request) => {
        this.posts.push({
          path: new URL(request.url).pathname,
          headers: request.headers,
          bytes: new Uint8Array(await request.arrayBuffer()),
        });
        return new Response("{}", {
          status: this.status,
          headers: { "Content-Type": "application/json" },
        });
      },
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  get spans(): ReceivedSpan[] {
    return this.#items("/v1/traces", "resourceSpans", "scopeSpans", "spans").map(
      ({ item, resource }) => ({
        ...(item as unknown as ReceivedSpan),
        attributes: attributesOf(item["attributes"]),
        resource,
      }),
    );
  }

  get records(): ReceivedRecord[] {
    return this.#items("/v1/logs", "resourceLogs", "scopeLogs", "logRecords").map(({ item }) => ({
      ...(item as { readonly traceId?: string }),
      body: String((item["body"] as Json)["stringValue"]),
      severity: String(item["severityText"]),
      attributes: attributesOf(item["attributes"]),
    }));
  }

  /** Names of metrics, with their last received data. */
  get metrics(): Map<string, Json> {
    return new Map(
      this.#items("/v1/metrics", "resourceMetrics", "scopeMetrics", "metrics").map(({ item }) => [
        String(item["name"]),
        item,
      ]),
    );
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  #items(
    path: string,
    resources: string,
    scopes: string,
    items: string,
  ): { readonly item: Json; readonly resource: Json }[] {
    return this.posts
      .filter((post) => post.path === path)
      .flatMap(
        ({ bytes }) =>
          (JSON.parse(new TextDecoder().decode(bytes)) as Record<string, Json[]>)[resources] ?? [],
      )
      .flatMap((group) => {
        const resource = attributesOf((group["resource"] as Json)["attributes"]);
        return (group[scopes] as Json[]).flatMap((scope) =>
          (scope[items] as Json[]).map((item) => ({ item, resource })),
        );
      });
  }
}

function attributesOf(list: unknown): Record<string, unknown> {
  return Object.fromEntries(
    ((list ?? []) as { readonly key: string; readonly value: Json }[]).map(({ key, value }) => [
      key,
      Object.values(value)[0],
    ]),
  );
}
