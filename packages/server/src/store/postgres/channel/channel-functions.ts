import source from "./channel.sql" with { type: "text" };
import { VersionedFunctions } from "./versioned-functions.ts";

/** The functions of the channel: `name`, `send`, `has_expired`, `delete_expired`. */
export const channelFunctions = new VersionedFunctions("pylon_channel_", [source]);

/**
 * The statements that create the channel's table and functions. Each statement may be run again.
 */
export const CHANNEL_DDL: readonly string[] = channelFunctions.statements;

/** Reads the name of the channel. */
export const CHANNEL_QUERY = `SELECT ${channelFunctions.nameOf("name")}() AS channel`;

/**
 * Sends `$1` and returns a row; in a read-only database, where calls would fail, it does neither.
 */
export const PROBE_QUERY = `SELECT ${channelFunctions.nameOf("send")}($1)
  WHERE NOT current_setting('transaction_read_only')::boolean`;

/** Reads the texts of long messages by their ids. */
export const MESSAGES_QUERY =
  'SELECT id::text AS id, text FROM "_pylon_messages" WHERE id = ANY($1::bigint[])';
