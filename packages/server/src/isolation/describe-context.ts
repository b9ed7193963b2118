import { isRecord } from "../util/is-record.ts";

/**
 * The members of `ctx` that the isolated process provides itself. They are neither sent nor called
 * remotely.
 */
const LOCAL = new Set([
  ...["auth", "env", "secrets", "signal", "error", "random", "uuid", "fetch"],
]);

/** A `ctx` in the server's process. */
export type HostContext = Readonly<Record<string, unknown>>;

/** A method of `ctx`, bound to its owner. */
export type ContextMethod = (...args: readonly unknown[]) => unknown;

/** The maximum depth at which methods are searched for: `ctx.db.get` is two. */
const MAX_DEPTH = 2;

/**
 * The members of a `ctx` that the isolated process can use. All contexts with the same members have
 * the same shape, so that the members of each are not searched again.
 */
export class ContextShape {
  /** The names of the members that are data, which is sent. */
  readonly #data: readonly string[];
  /** The members with methods and data, as `ctx.job` of an action, and the names of the data. */
  readonly #mixed: ReadonlyMap<string, readonly string[]>;
  /** The methods by path, such as `db.get`; they are called remotely. */
  readonly #methods: ReadonlyMap<string, readonly string[]>;

  private constructor(context: HostContext) {
    const names = Object.keys(context).filter((name) => !LOCAL.has(name));
    const byName = names.map((name) => [name, methodPaths(context[name], [name])] as const);
    this.#data = byName.flatMap(([name, paths]) => (paths.length === 0 ? [name] : []));
    this.#mixed = new Map(
      byName.flatMap(([name, paths]) => {
        const own = paths.length === 0 ? [] : dataNames(context[name]);
        return own.length === 0 ? [] : [[name, own] as const];
      }),
    );
    this.#methods = new Map(
      byName.flatMap(([, paths]) => paths).map((path) => [path.join("."), path]),
    );
  }

  static readonly #known = new Map<string, ContextShape>();

  /** Returns the shape of a context. */
  static of(context: HostContext): ContextShape {
    // `job` is the only member that is null in some calls and has methods in others.
    const hasJob = isRecord(context["job"]);
    const members = `${Object.keys(context).join()}${hasJob ? " of a job" : ""}`;
    const known = this.#known.get(members);
    if (known !== undefined) return known;
    const made = new ContextShape(context);
    this.#known.set(members, made);
    return made;
  }

  /** The paths of the methods. */
  get methods(): readonly string[] {
    return [...this.#methods.keys()];
  }

  /** Returns the data of a context with this shape. */
  dataOf(context: HostContext): Readonly<Record<string, unknown>> {
    const data: Record<string, unknown> = {};
    for (const name of this.#data) data[name] = context[name];
    for (const [name, own] of this.#mixed) {
      const member = context[name];
      if (isRecord(member)) data[name] = Object.fromEntries(own.map((key) => [key, member[key]]));
    }
    return data;
  }

  /** Returns a method of a context with this shape, or undefined if there is none at this path. */
  methodOf(context: HostContext, path: string): ContextMethod | undefined {
    const names = this.#methods.get(path);
    if (names === undefined) return undefined;
    let owner: unknown = undefined;
    let value: unknown = context;
    for (const name of names) {
      owner = value;
      value = isRecord(value) ? value[name] : undefined;
    }
    if (typeof value !== "function") return undefined;
    const method = value;
    return (...args) => Reflect.apply(method, owner, args);
  }
}

/**
 * Whether reading `ctx.auth` has a side effect, so that the server must be notified when the
 * handler reads it.
 */
export function isAuthWatched(context: HostContext): boolean {
  return Object.getOwnPropertyDescriptor(context, "auth")?.get !== undefined;
}

/** Returns the paths of the methods in a member; none if it is data. */
function methodPaths(value: unknown, path: readonly string[]): (readonly string[])[] {
  if (typeof value === "function") return [path];
  if (!isRecord(value) || path.length === MAX_DEPTH) return [];
  return memberNames(value).flatMap((name) => methodPaths(value[name], [...path, name]));
}

/** Returns the names of the data in a member with methods; none in an instance of a class. */
function dataNames(value: unknown): readonly string[] {
  if (!isRecord(value) || Object.getPrototypeOf(value) !== Object.prototype) return [];
  return Object.keys(value).filter((name) => typeof value[name] !== "function");
}

/** Returns the object's own members and the methods of its class. */
function memberNames(value: Readonly<Record<string, unknown>>): readonly string[] {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null || !isRecord(prototype))
    return Object.keys(value);
  return [...Object.keys(value), ...methodsOfClass(prototype)];
}

function methodsOfClass(prototype: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(prototype)).flatMap(([name, { value }]) =>
    name !== "constructor" && typeof value === "function" ? [name] : [],
  );
}
