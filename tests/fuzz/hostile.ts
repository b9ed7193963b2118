/** Draws from a seeded generator. */
export class Chance {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** A whole number from 0, below `end`. */
  below(end: number): number {
    return Math.floor(this.#random() * end);
  }

  /** True with a probability of 1 in `n`. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("There is nothing to pick from.");
    return item;
  }
}

const TEXTS = [
  "",
  " ",
  "a",
  "a\0b",
  "\ud800",
  "\u{1F600}",
  "\u202e\ufeff",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "$where",
  "$gt",
  '\'; DROP TABLE "Item"; --',
  "../../etc/passwd",
  "..%2f..%2fetc%2fpasswd",
  "%00",
  "<script>alert(1)</script>",
  "2026-02-30",
  "2026-01-31T12:00:00Z",
  "-1",
  "1e400",
  "NaN",
  "null",
  "a@example.com",
  "a@b",
  "http://127.0.0.1:1/",
  "javascript:alert(1)",
  "a".repeat(65),
  "a".repeat(129),
  "é".repeat(3_000),
  "x".repeat(70_000),
  "{{7*7}}",
  "\r\nSet-Cookie: a=b",
];
const NUMBERS = [
  0,
  -0,
  1,
  -1,
  1.5,
  255,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 53,
  -(2 ** 53),
  2 ** 63,
  2 ** 64,
  1e21,
  1e308,
  -1e308,
  5e-324,
];
const KEYS = [
  "__proto__",
  "constructor",
  "toString",
  "valueOf",
  "toJSON",
  "then",
  "length",
  "id",
  "$or",
  "$and",
  "$not",
  "$in",
  "$order",
  "$limit",
  "",
  "a\0",
  "a.b",
  "a[0]",
];

export function hostileText(chance: Chance): string {
  return chance.pick(TEXTS);
}

/** Any JSON value, mostly of an unexpected kind. */
export function hostileValue(chance: Chance, depth = 0): unknown {
  switch (chance.below(depth > 3 ? 4 : 8)) {
    case 0:
      return chance.pick([null, true, false]);
    case 1:
      return chance.pick(NUMBERS);
    case 2:
    case 3:
      return hostileText(chance);
    case 4:
      return Array.from({ length: chance.below(4) }, () => hostileValue(chance, depth + 1));
    case 5:
      return Array.from({ length: chance.pick([0, 1, 50, 1_100]) }, () =>
        chance.pick([1, "a", null]),
      );
    default:
      return hostileObject(chance, depth);
  }
}

function hostileObject(chance: Chance, depth: number): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  for (let keys = chance.below(4); keys > 0; keys -= 1)
    setOwn(made, chance.pick(KEYS), hostileValue(chance, depth + 1));
  return made;
}

/** Assigning `__proto__` would set the prototype, and JSON would omit it. */
function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

/** A copy of a valid value with one error in it. */
export function mutated(chance: Chance, value: unknown): unknown {
  if (Array.isArray(value) && value.length > 0) {
    const copy: unknown[] = [...(value as unknown[])];
    const at = chance.below(copy.length);
    if (chance.oneIn(6)) return [...copy, ...copy];
    copy[at] = mutated(chance, copy[at]);
    return copy;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return hostileValue(chance);
  const copy: Record<string, unknown> = { ...value };
  const keys = Object.keys(copy);
  if (keys.length === 0 || chance.oneIn(5)) {
    setOwn(copy, chance.pick(KEYS), hostileValue(chance));
    return copy;
  }
  const key = chance.pick(keys);
  if (chance.oneIn(5)) delete copy[key];
  else if (chance.oneIn(3)) copy[key] = hostileValue(chance);
  else copy[key] = mutated(chance, copy[key]);
  return copy;
}

/** A body as bytes or text: the value as JSON, or something that is not JSON. */
export function encodedBody(chance: Chance, value: unknown): string | Uint8Array<ArrayBuffer> {
  const json = JSON.stringify(value) ?? "null";
  if (!chance.oneIn(8)) return json;
  return chance.pick<() => string | Uint8Array<ArrayBuffer>>([
    () => json.slice(0, chance.below(json.length + 1)),
    () => "[".repeat(chance.pick([33, 5_000, 100_000])),
    () => '{"a":'.repeat(40) + "1" + "}".repeat(40),
    () => new Uint8Array([0x7b, 0x22, 0xe4, 0xff, 0x22]),
    () => `\ufeff${json}`,
    () => json.replace("{", '{"__proto__":{"isAdmin":true},'),
    () => "1e400",
    () => "",
    () => "undefined",
    () => "a=1&b=2",
  ])();
}

/** A path segment, encoded or broken. */
export function hostilePiece(chance: Chance): string {
  if (chance.oneIn(4)) return chance.pick(["%zz", "%", "%ff", "%c0%80", "*", "..", ";a=b", "a/b"]);
  const text = hostileText(chance);
  return text.isWellFormed() ? encodeURIComponent(text.slice(0, 4_000)) : "%ED%A0%80";
}

const HEADERS: readonly (readonly [string, readonly string[]])[] = [
  ["Accept", ["text/event-stream", "application/x-ndjson", "*/*;q=x", "text/html"]],
  ["Content-Type", ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=x"]],
  ["Idempotency-Key", ["", "k", "k".repeat(129), "__proto__", "\u00e4"]],
  ["If-None-Match", ["*", '"x"', 'W/"x", ""', ","]],
  ["Range", ["bytes=0-", "bytes=-1", "bytes=5-2", "bytes=99999999999999999999-", "lines=1"]],
  ["Origin", ["null", "http://evil.example", "http://[", "file://"]],
  ["Sec-Fetch-Site", ["cross-site", "same-origin", "x"]],
  ["Cookie", ["fuzz_session=x", "=;=;=", "fuzz_session=%00", "a".repeat(5_000)]],
  ["Authorization", ["Bearer", "Bearer ", "Basic eDp5", "Bearer a.b.c", "Bearer pk_x.y"]],
  ["X-Forwarded-For", ["", ",,,", "::1", "1.2.3.4:5, x", "999.1.1.1"]],
  ["X-Request-Id", ["x", "a".repeat(500)]],
  ["X-Filename", ["../a", "\u00e4.txt", "a".repeat(500)]],
  ["X-Checksum-Sha256", ["x", "0".repeat(64)]],
  ["Content-Encoding", ["gzip", "br"]],
  ["Expect", ["100-continue"]],
];

/** Sometimes some unusual or invalid headers. */
export function hostileHeaders(chance: Chance): Record<string, string> {
  const headers: Record<string, string> = {};
  while (chance.oneIn(3)) {
    const [name, values] = chance.pick(HEADERS);
    headers[name] = chance.pick(values);
  }
  return headers;
}
