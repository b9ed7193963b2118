import { channelFunctions } from "../../store/postgres/channel/channel-functions.ts";
import { VersionedFunctions } from "../../store/postgres/channel/versioned-functions.ts";
import calls from "./calls.sql" with { type: "text" };
import helpers from "./helpers.sql" with { type: "text" };
import leases from "./leases.sql" with { type: "text" };
import tables from "./tables.sql" with { type: "text" };

/** The SQLSTATEs with which the functions reject a call. */
export const ROOM_REFUSALS = {
  rooms: "PYR01",
  roomsOfUser: "PYR02",
  noLease: "PYR03",
  notInRoom: "PYR04",
} as const;

const roomFunctions = new VersionedFunctions(
  "pylon_room_",
  [helpers, calls, leases].map((source) => channelFunctions.resolve(source)),
);

/** Creates the tables and functions of the rooms. Each statement may be run again. */
export const ROOM_DDL: readonly string[] = [tables, ...roomFunctions.statements];

/**
 * The quoted name of a function of the rooms.
 *
 * @param name such as `join`
 * @throws Error if there is no such function
 */
export function roomFunction(name: string): string {
  return roomFunctions.nameOf(name);
}
