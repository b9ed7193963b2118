import type { RoomTable } from "../memory/room-table.ts";
import { memberKey, type MemberName } from "./member-key.ts";
import type { RoomBackend } from "./room-backend.ts";

/** The maximum number of concurrent calls. */
const CONCURRENCY = 64;

/**
 * The changes of the table while the backend was lost, which must be sent to the backend: which
 * members and which users, but not how, because the table has their newest state.
 */
export class PendingChanges {
  readonly #table: RoomTable;
  readonly #backend: RoomBackend;
  readonly #now: () => number;
  readonly #members = new Map<string, MemberName>();
  readonly #users = new Set<string>();

  /** @param now milliseconds, by the clock of the table's `dueAt` */
  constructor(table: RoomTable, backend: RoomBackend, now: () => number) {
    this.#table = table;
    this.#backend = backend;
    this.#now = now;
  }

  get isEmpty(): boolean {
    return this.#members.size === 0 && this.#users.size === 0;
  }

  /** Adds a member that joined, left or changed. */
  addMember({ room, userId }: MemberName): void {
    this.#members.set(memberKey({ room, userId }), { room, userId });
  }

  /** Adds a user who connected or disconnected. */
  addUser(userId: string): void {
    this.#users.add(userId);
  }

  /** Adds everything in the table, for a backend that does not know this replica. */
  addAll(): void {
    for (const member of this.#table.all()) this.addMember(member);
    for (const userId of this.#table.connectedUsers().keys()) this.addUser(userId);
  }

  /** Whether the member must be sent to the backend. */
  has(member: MemberName): boolean {
    return this.#members.has(memberKey(member));
  }

  /**
   * Sends some of them to the backend. Those that fail remain.
   *
   * @throws the errors of the backend
   */
  async sendSome(): Promise<void> {
    // Users come first: a member depends on whether its user is connected.
    if (this.#users.size > 0)
      await Promise.all(
        [...this.#users].slice(0, CONCURRENCY).map((userId) => this.#tellUser(userId)),
      );
    else
      await Promise.all(
        [...this.#members.values()].slice(0, CONCURRENCY).map((member) => this.#sendMember(member)),
      );
  }

  async #tellUser(userId: string): Promise<void> {
    this.#users.delete(userId);
    try {
      const will = this.#table.connectedUsers().get(userId);
      if (will === undefined) await this.#backend.disconnect(userId, null);
      else await this.#backend.connect(userId, will);
    } catch (error) {
      this.#users.add(userId);
      throw error;
    }
  }

  async #sendMember({ room, userId }: MemberName): Promise<void> {
    this.#members.delete(memberKey({ room, userId }));
    try {
      const member = this.#table.find(room, userId);
      if (member === undefined) await this.#backend.leave(room, userId);
      else await this.#backend.register(member, this.#now());
    } catch (error) {
      this.addMember({ room, userId });
      throw error;
    }
  }
}
