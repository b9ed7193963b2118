import type { PresenceMessage, RoomEvent, Row, TopicMessage } from "@pylonsync/protocol";
import type { HttpClient, HttpMethod } from "../connection/http.ts";
import type { LocalStore, SyncCursor } from "../replica/local-store.ts";
import type { Room, RoomOptions } from "../rooms/room.ts";
import type { Credentials, ResolvedSession } from "../session/session.ts";
import type { EngineRooms } from "./engine-rooms.ts";
import type { EngineSession } from "./engine-session.ts";
import type { SyncStatus } from "./config.ts";
import {
  InfiniteQuery,
  loadPage,
  type InfiniteQueryOptions,
  type LoadedPage,
  type LoadPageOptions,
} from "./pages.ts";

/**
 * Earlier names of the engine's members, which remain supported, and pages of lists on the server.
 */
export abstract class EngineAliases {
  abstract readonly session: EngineSession;
  abstract readonly rooms: EngineRooms;
  abstract readonly store: LocalStore;
  abstract readonly status: SyncStatus;
  abstract request(method: HttpMethod, path: string, body?: unknown): Promise<unknown>;

  /**
   * Loads a part of a list from the server, once. The replica already has all rows: `query` with
   * `limit` shows them immediately, and live.
   *
   * @throws PylonClientError
   */
  loadPage<T = Row>(entity: string, options?: LoadPageOptions): Promise<LoadedPage<T>>;
  loadPage(entity: string, options?: LoadPageOptions): Promise<LoadedPage<unknown>> {
    return loadPage((path, filter) => this.request("POST", path, filter), entity, options);
  }
  /** Creates a list that loads pages from the server, and is not live. */
  createInfiniteQuery<T = Row>(
    entity: string,
    options: InfiniteQueryOptions = {},
  ): InfiniteQuery<T> {
    return new InfiniteQuery<T>((page) => this.loadPage<T>(entity, page), options);
  }

  /** @deprecated Use `session.credentials`. */
  get credentials(): Credentials {
    return this.session.credentials;
  }
  /** @deprecated Use `session.initial`. */
  get initialSession(): ResolvedSession {
    return this.session.initial;
  }
  /** @deprecated Use `session.token`. */
  get token(): string | null {
    return this.session.token;
  }
  /** @deprecated Use `session.current`. */
  resolvedSession(): ResolvedSession {
    return this.session.current;
  }
  /** @deprecated Use `session.onChange`. */
  onSession(listener: (session: ResolvedSession) => void): () => void {
    return this.session.onChange(listener);
  }
  /** @deprecated Use `session.refresh`. */
  refreshResolvedSession(): Promise<ResolvedSession> {
    return this.session.refresh();
  }
  /** @deprecated Use `session.setToken`. */
  setToken(token: string | null): void {
    this.session.setToken(token);
  }
  /** @deprecated Use `session.forgetToken`. */
  forgetToken(): void {
    this.session.forgetToken();
  }
  /** @deprecated Use `session.notifyChanged`. */
  notifySessionChanged(): void {
    this.session.notifyChanged();
  }
  /** @deprecated Use `session.signInAsGuest`. */
  signInAsGuest(): Promise<{ readonly token: string; readonly userId: string }> {
    return this.session.signInAsGuest();
  }
  /** @deprecated Use `rooms.setPresence`. */
  setPresence(data: unknown): void {
    this.rooms.setPresence(data);
  }
  /** @deprecated Use `rooms.publishTopic`. */
  publishTopic(topic: string, data: unknown): void {
    this.rooms.publishTopic(topic, data);
  }
  /** @deprecated Use `rooms.onPresence`. */
  onPresence(listener: (message: PresenceMessage) => void): () => void {
    return this.rooms.onPresence(listener);
  }
  /** @deprecated Use `rooms.onTopic`. */
  onTopic(listener: (message: TopicMessage) => void): () => void {
    return this.rooms.onTopic(listener);
  }
  /** @deprecated Use `rooms.onEvent`. */
  onRoom(listener: (event: RoomEvent) => void): () => void {
    return this.rooms.onEvent(listener);
  }
  /** @deprecated Use `rooms.join`. */
  joinRoom(
    room: string,
    userId: string,
    options: RoomOptions & { readonly http?: HttpClient } = {},
  ): Room {
    return this.rooms.join(room, userId, options);
  }
  /** @deprecated Use `status.connection`. */
  get connected(): boolean {
    return this.status.connection === "live";
  }
  /** @deprecated Use `store.cursor`. */
  getCursor(): SyncCursor {
    return this.store.cursor;
  }
}
