import { isRecord } from "../util/is-record.ts";

/**
 * The members of `ctx` that the isolated process provides itself. They are neither sent nor called
 * remotely.
 */
const LOCAL = new Set([
  ...["auth", "env", "secrets", "signal", "error", "random", "uuid", "fetch"],
]);

/** A method of `ctx`, bound to its owner. */
export type ContextMethod = (...args: readonly unknown[]) => unknown;

/** The data and the methods of a `ctx`. */
export interface DescribedContext {
  readonly data: Readonly<Record<string, unknown>>;
  /** The methods by path, such as `db.get`. */
  readonly methods: ReadonlyMap<string, ContextMethod>;
  /** Whether reading `ctx.auth` has a side effect, so the server must be notified of it. */
  readonly isAuthWatched: boolean;
}

/** The maximum depth at which methods are searched for: `ctx.db.get` is two. */
const MAX_DEPTH = 3;

/** Splits a `ctx` into data, which is sent, and methods, which are called remotely. */
export function describeContext(context: Readonly<Record<string, unknown>>): DescribedContext {
  const methods = new Map<string, ContextMethod>();
  const data: Record<string, unknown> = {};
  for (const name of Object.keys(context)) {
    if (!LOCAL.has(name)) addMember(data, methods, { name, path: name, owner: context }, 1);
  }
  const auth = Object.getOwnPropertyDescriptor(context, "auth");
  return { data, methods, isAuthWatched: auth?.get !== undefined };
}

interface Member {
  readonly name: string;
  readonly path: string;
  readonly owner: Readonly<Record<string, unknown>>;
}

/** Adds a member, which is a method, data, or an object of both, whose data is sent. */
function addMember(
  data: Record<string, unknown>,
  methods: Map<string, ContextMethod>,
  { name, path, owner }: Member,
  depth: number,
): void {
  const value = owner[name];
  if (typeof value === "function") {
    methods.set(path, (...args) => Reflect.apply(value, owner, args));
    return;
  }
  if (!isRecord(value) || depth === MAX_DEPTH) {
    data[name] = value;
    return;
  }
  const before = methods.size;
  const inner: Record<string, unknown> = {};
  for (const member of memberNames(value))
    addMember(inner, methods, { name: member, path: `${path}.${member}`, owner: value }, depth + 1);
  data[name] = methods.size === before ? value : inner;
}

/** Returns the object's own members and the methods of its class. */
function memberNames(value: Readonly<Record<string, unknown>>): readonly string[] {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null || !isRecord(prototype))
    return Object.keys(value);
  return [...Object.keys(value), ...methodsOfClass(prototype)];
}

const classMethods = new WeakMap<object, readonly string[]>();

function methodsOfClass(prototype: Readonly<Record<string, unknown>>): readonly string[] {
  const known = classMethods.get(prototype);
  if (known !== undefined) return known;
  const found = Object.entries(Object.getOwnPropertyDescriptors(prototype)).flatMap(
    ([name, { value }]) => (name !== "constructor" && typeof value === "function" ? [name] : []),
  );
  classMethods.set(prototype, found);
  return found;
}
