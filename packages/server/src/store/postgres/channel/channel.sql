-- A channel to all replicas of a database. It transports texts of any length, in commit order.
--
-- The hash of this file becomes a part of the functions' names (versioned-functions.ts). All
-- versions share the table, so it is only ever extended. Each statement may be run again.

-- The texts that are too long for a notification, until all replicas have fetched them. The table
-- is UNLOGGED: it is not durable, and is empty after a crash of Postgres.
CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_messages" (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  text TEXT NOT NULL,
  at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS "_pylon_messages_at" ON "_pylon_messages" (at);

-- Returns the name of the channel, which contains the id of the table, so that two apps in two
-- schemas of one database do not receive each other's messages.
CREATE OR REPLACE FUNCTION pylon_channel_name()
RETURNS TEXT LANGUAGE plpgsql AS $$
BEGIN
  RETURN 'pylon_' || '"_pylon_messages"'::regclass::oid;
END;
$$;

-- Sends a text when the transaction commits. A notification is limited to 7,999 bytes: it contains
-- "=" and the text, or "#" and the id of a longer one.
CREATE OR REPLACE FUNCTION pylon_channel_send(p_text TEXT)
RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
  v_id BIGINT;
BEGIN
  IF octet_length(p_text) <= 7900 THEN
    PERFORM pg_notify(pylon_channel_name(), '=' || p_text);
  ELSE
    INSERT INTO "_pylon_messages" (text) VALUES (p_text) RETURNING id INTO v_id;
    PERFORM pg_notify(pylon_channel_name(), '#' || v_id);
  END IF;
END;
$$;

-- Returns whether there are texts so old that all replicas have fetched them, or never will.
CREATE OR REPLACE FUNCTION pylon_channel_has_expired()
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
  v_until TIMESTAMPTZ := clock_timestamp() - interval '60 seconds';
BEGIN
  RETURN EXISTS (SELECT FROM "_pylon_messages" WHERE at <= v_until);
END;
$$;

-- Deletes these texts. Called by one transaction at a time.
CREATE OR REPLACE FUNCTION pylon_channel_delete_expired()
RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
  v_until TIMESTAMPTZ := clock_timestamp() - interval '60 seconds';
BEGIN
  DELETE FROM "_pylon_messages" WHERE at <= v_until;
END;
$$;
