-- A channel to all replicas of a database: texts of any length, in the order of their commits.
--
-- The name of each function gets the hash of this text (versioned-functions.ts). The table is
-- shared by all versions, so it is only ever added to. Each statement may be run again.

-- The texts that are too long for a notification, until all replicas have fetched them. UNLOGGED:
-- nothing in it is durable, and after a crash of Postgres it is empty.
CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_messages" (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  text TEXT NOT NULL,
  at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS "_pylon_messages_at" ON "_pylon_messages" (at);

-- The name of the channel: that of a table, so that two Pylons in two schemas of one database do
-- not hear each other.
CREATE OR REPLACE FUNCTION pylon_channel_name()
RETURNS TEXT LANGUAGE plpgsql AS $$
BEGIN
  RETURN 'pylon_' || '"_pylon_messages"'::regclass::oid;
END;
$$;

-- Sends when the transaction commits. A notification takes 7,999 bytes: it has the text behind "=",
-- or the id of a longer one behind "#".
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

-- Whether there are texts that every replica has fetched by now, or never will.
CREATE OR REPLACE FUNCTION pylon_channel_has_expired()
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
  v_until TIMESTAMPTZ := clock_timestamp() - interval '60 seconds';
BEGIN
  RETURN EXISTS (SELECT FROM "_pylon_messages" WHERE at <= v_until);
END;
$$;

-- Deletes them. Called by one transaction at a time.
CREATE OR REPLACE FUNCTION pylon_channel_delete_expired()
RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
  v_until TIMESTAMPTZ := clock_timestamp() - interval '60 seconds';
BEGIN
  DELETE FROM "_pylon_messages" WHERE at <= v_until;
END;
$$;
