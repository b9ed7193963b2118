import {
  compilePredicate,
  FALSE,
  hasExists,
  namesOuter,
  nodesOf,
  TRUE,
  type Env,
  type Expr,
  type SchemaShape,
  type Values,
} from "@pylonsync/query";
import type { Manifest, ManifestRoom } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import { PolicyCompiler } from "./policy-compiler.ts";

/**
 * The kinds of access to a room.
 * - `join`: be a member, and thereby receive the room's events
 * - `send`: set one's own presence, or send messages to all members
 * - `see`: query the members without being one
 */
export type RoomAccess = "join" | "send" | "see";

const TEXTS: Record<RoomAccess, readonly (keyof ManifestRoom)[]> = {
  join: ["allowJoin", "allow"],
  send: ["allowSend", "allow"],
  see: ["allowSee", "allow"],
};
const NAME = /^(?:[^/:\s]+|:[A-Za-z_][A-Za-z0-9_]*)(?:\/(?:[^/:\s]+|:[A-Za-z_][A-Za-z0-9_]*))*$/;
const OPEN: Readonly<Record<RoomAccess, Expr>> = { join: TRUE, send: TRUE, see: FALSE };
const CLOSED: Readonly<Record<RoomAccess, Expr>> = { join: FALSE, send: FALSE, see: FALSE };

/** The condition of an access to a room. */
export interface RoomRule {
  /** Over `auth` and `room`. */
  readonly expr: Expr;
  /** The parts of the room's name. */
  readonly room: Values;
}

/** A row before and after a change; null if it does not exist. */
export interface ChangedRow {
  readonly entity: string;
  readonly before: Values | null;
  readonly after: Values | null;
}

interface DeclaredRoom {
  /** The segments of the name: a fixed text, or the name of a parameter. */
  readonly segments: readonly { readonly text: string; readonly isPart: boolean }[];
  readonly rules: Readonly<Record<RoomAccess, Expr>>;
  /** Every member may also send, because both accesses have the same condition. */
  readonly membersMaySend: boolean;
  /** The `exists` lookups of the join rule. */
  readonly lookups: readonly Lookup[];
}

/**
 * An `exists`: the entity, and a test of whether a row may be the one looked up, as far as the row
 * alone can tell.
 */
interface Lookup {
  readonly entity: string;
  readonly mayBe: (env: Env) => boolean;
}

/**
 * The access rules of rooms. In an app that declares no rooms, everyone who is signed in and knows
 * a room's name may use it; if an app declares rooms, its declarations cover all of them.
 */
export class RoomRules {
  readonly #declared: readonly DeclaredRoom[] | null;
  readonly #others: Readonly<Record<RoomAccess, Expr>>;

  /**
   * @param declared in order of precedence; null if the app declares none
   * @param isOpen whether rooms without a declaration are open
   */
  constructor(declared: readonly DeclaredRoom[] | null, isOpen: boolean) {
    this.#declared = declared;
    this.#others = isOpen ? OPEN : CLOSED;
  }

  /** The condition for a caller who is not the admin. */
  rule(name: string, access: RoomAccess): RoomRule {
    const found = this.#find(name);
    return found === null
      ? { expr: this.#others[access], room: {} }
      : { expr: found.declared.rules[access], room: found.room };
  }

  /** Whether every member of the room may also send to it. */
  membersMaySend(name: string): boolean {
    return this.#find(name)?.declared.membersMaySend ?? true;
  }

  /** Whether the join rule of any room reads rows of the entity. */
  looksAt(entity: string): boolean {
    return (this.#declared ?? []).some(({ lookups }) =>
      lookups.some((lookup) => lookup.entity === entity),
    );
  }

  /** Whether a change of a row may have changed that the caller may join the room. */
  mayChangeJoin(name: string, change: ChangedRow, caller: Pick<Env, "auth" | "now">): boolean {
    const found = this.#find(name);
    if (found === null) return false;
    return found.declared.lookups.some(
      ({ entity, mayBe }) =>
        entity === change.entity &&
        [change.before, change.after].some(
          (row) => row !== null && mayBe({ ...caller, room: found.room, related: row }),
        ),
    );
  }

  #find(name: string): { readonly declared: DeclaredRoom; readonly room: Values } | null {
    const segments = name.split("/");
    for (const declared of this.#declared ?? []) {
      const room = partsOf(declared.segments, segments);
      if (room !== null) return { declared, room };
    }
    return null;
  }
}

function lookupsOf(join: Expr): Lookup[] {
  const lookups: Lookup[] = [];
  for (const node of nodesOf(join)) {
    if (node.kind !== "exists") continue;
    // A condition that reads further rows can't be evaluated for this row alone.
    const isAlone = !hasExists(node.where) && !namesOuter(node.where);
    lookups.push({
      entity: node.entity,
      mayBe: isAlone ? compilePredicate(node.where) : () => true,
    });
  }
  return lookups;
}

/** @returns null if it is the name of another room */
function partsOf(
  pattern: DeclaredRoom["segments"],
  segments: readonly string[],
): Record<string, string> | null {
  if (pattern.length !== segments.length) return null;
  const parts: Record<string, string> = {};
  for (const [index, { text, isPart }] of pattern.entries()) {
    const segment = segments[index] ?? "";
    if (isPart && segment !== "") parts[text] = segment;
    else if (isPart || segment !== text) return null;
  }
  return parts;
}

/**
 * Compiles the rooms of a valid manifest. An access that a declaration does not define is closed,
 * and so is a room without a declaration, except in dev mode and in an app with `access: "public"`.
 */
export function compileRooms(
  { rooms, access }: Pick<Manifest, "rooms" | "access">,
  schema: SchemaShape,
  { dev }: { readonly dev: boolean },
): { rules: RoomRules; diagnostics: Diagnostic[] } {
  if (rooms === undefined) return { rules: new RoomRules(null, true), diagnostics: [] };
  const compiler = new PolicyCompiler(schema);
  const declared = rooms.map((room, index) => compileRoom(compiler, room, `rooms[${index}]`));
  const names = rooms.map(({ name }) => name.replaceAll(/:[^/]+/g, ":"));
  for (const [index, name] of names.entries())
    if (names.indexOf(name) !== index)
      compiler.diagnostics.push(
        errorAt(
          "ROOM_DUPLICATE",
          `Two rooms have the same name pattern as "${rooms[index]?.name ?? name}".`,
          `rooms[${index}].name`,
          "Declare each room once: combine the conditions with && or ||.",
        ),
      );
  return {
    rules: new RoomRules(declared, dev || access === "public"),
    diagnostics: compiler.diagnostics,
  };
}

function compileRoom(compiler: PolicyCompiler, room: ManifestRoom, at: string): DeclaredRoom {
  if (!NAME.test(room.name))
    compiler.diagnostics.push(
      errorAt(
        "ROOM_NAME_INVALID",
        `"${room.name.slice(0, 80)}" is not a valid name for a room.`,
        `${at}.name`,
        'Use fixed parts and :parameters between slashes, as in "channel/:channelId".',
      ),
    );
  const segments = room.name.split("/").map((text) => ({
    text: text.startsWith(":") ? text.slice(1) : text,
    isPart: text.startsWith(":"),
  }));
  const roomParts = segments.filter(({ isPart }) => isPart).map(({ text }) => text);
  const ruleOf = (access: RoomAccess): Expr =>
    compiler.compile({
      label: `The room "${room.name}"`,
      texts: { ...room },
      keys: TEXTS[access],
      scope: { roots: ["room"], roomParts },
      at,
    }) ?? FALSE;
  const [join, send, see] = [ruleOf("join"), ruleOf("send"), ruleOf("see")];
  if (textOf(room, "join") === "") compiler.diagnostics.push(missingPolicy(room.name, at));
  return {
    segments,
    rules: { join, send, see },
    membersMaySend: textOf(room, "join") === textOf(room, "send"),
    lookups: lookupsOf(join),
  };
}

/** The text that the app wrote for an access; empty if there is none. */
function textOf(room: ManifestRoom, access: RoomAccess): string {
  return TEXTS[access].map((key) => (room[key] ?? "").trim()).find((text) => text !== "") ?? "";
}

function missingPolicy(name: string, at: string): Diagnostic {
  return {
    severity: "warning",
    code: "POLICY_MISSING",
    message: `The room "${name}" has no policy for joining, so nobody may join.`,
    path: at,
    hint: 'Add allow: "auth.userId != null", or a condition on room. and other rows.',
  };
}
