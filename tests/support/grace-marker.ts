import { until, type LiveSocket, type TestClient } from "./client.ts";

let markers = 0;

/**
 * Reports by an event that the grace period after which rooms remove a disconnected user has
 * passed: a user who closes its last connection now leaves its room after that. Anything that
 * should not happen before has then not happened.
 */
export class GraceMarker {
  readonly #user: TestClient;
  readonly #socket: LiveSocket;
  readonly #witness: LiveSocket;
  readonly #room: string;

  private constructor(user: TestClient, socket: LiveSocket, witness: LiveSocket, room: string) {
    this.#user = user;
    this.#socket = socket;
    this.#witness = witness;
    this.#room = room;
  }

  /**
   * @param user a user that the test does not use for anything else
   * @param witness joins the room of the marker, too
   * @param memberSocket a connection of the witness
   */
  static async of(
    user: TestClient,
    witness: TestClient,
    memberSocket: LiveSocket,
  ): Promise<GraceMarker> {
    const room = `marker-${(markers += 1)}`;
    const socket = await user.live(0).ready();
    for (const client of [witness, user]) await client.request("POST", "/api/rooms/join", { room });
    await until(() => receives(memberSocket, "join", room, user));
    return new GraceMarker(user, socket, memberSocket, room);
  }

  /** Closes the user's connection. @returns when its grace period is over */
  async passed(): Promise<void> {
    this.#socket.close();
    await until(() => receives(this.#witness, "leave", this.#room, this.#user), 30_000);
  }
}

function receives(
  memberSocket: LiveSocket,
  type: string,
  room: string,
  { userId }: TestClient,
): boolean {
  return memberSocket.texts.some((text) => {
    const message = JSON.parse(text) as Readonly<Record<string, unknown>>;
    return message["type"] === type && message["room"] === room && message["user_id"] === userId;
  });
}
