-- The building blocks of the calls. Parts with the same name in redis/prelude.lua do the same.
--
-- A call is one transaction. It acquires its locks in a fixed order: that of its replica (shared,
-- so that it is not swept in the meantime), that of its user (a call that connects the user and one
-- that changes a member must see each other's effects), that of its room (so that the order of
-- changes is that of messages), and Postgres' own lock that notifications acquire at the commit. So
-- calls never deadlock. The sweep acquires many locks, hence it waits for none: anything that is
-- locked is swept the next time.
--
-- The first key of a lock is the id of a table, so that the locks of two Pylons in two schemas of
-- one database do not collide.

-- Each statement of a function must see everything committed before it, also while it waited for a
-- lock, hence READ COMMITTED. A call waits for three locks and must return within the link's 2 s.
CREATE OR REPLACE FUNCTION pylon_room_begin(p_replica TEXT, p_usr TEXT, p_room TEXT)
RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'rooms are kept in READ COMMITTED only';
  END IF;
  PERFORM
    set_config('synchronous_commit', 'off', true),
    set_config('lock_timeout', '500ms', true);
  -- Plans are made while the tables are empty and kept while they grow. Plans without a scan of a
  -- table have such a high estimated cost that they would be compiled, so JIT is off.
  PERFORM set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true);
  IF p_replica <> '' THEN
    PERFORM pg_advisory_xact_lock_shared(
      '"_pylon_room_replicas"'::regclass::oid::int4, hashtext(p_replica));
  END IF;
  IF p_usr <> '' THEN
    PERFORM pg_advisory_xact_lock(
      '"_pylon_room_connections"'::regclass::oid::int4, hashtext(p_usr));
  END IF;
  IF p_room <> '' THEN
    PERFORM pg_advisory_xact_lock('"_pylon_room_members"'::regclass::oid::int4, hashtext(p_room));
  END IF;
  IF p_replica <> '' AND NOT EXISTS (
    SELECT FROM "_pylon_room_replicas" WHERE id = p_replica
  ) THEN
    RAISE EXCEPTION 'this replica has no lease' USING ERRCODE = 'PYR03';
  END IF;
END;
$$;

-- For the sweep, which does not wait. Returns whether the lock was acquired.
CREATE OR REPLACE FUNCTION pylon_room_try_lock_user(p_usr TEXT)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
BEGIN
  RETURN pg_try_advisory_xact_lock(
    '"_pylon_room_connections"'::regclass::oid::int4, hashtext(p_usr));
END;
$$;

CREATE OR REPLACE FUNCTION pylon_room_try_lock_room(p_room TEXT)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
BEGIN
  RETURN pg_try_advisory_xact_lock('"_pylon_room_members"'::regclass::oid::int4, hashtext(p_room));
END;
$$;

CREATE OR REPLACE FUNCTION pylon_room_publish(
  p_kind TEXT, p_room TEXT, p_usr TEXT, p_origin TEXT, p_joined BIGINT, p_text TEXT)
RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pylon_channel_send(
    '["' || p_kind || '","' || p_room || '","' || p_usr || '","' || p_origin || '",'
    || p_joined || E']\n' || p_text);
END;
$$;

-- Records a call of the member, which extends its stay if it has no connection. Returns whether the
-- member exists.
CREATE OR REPLACE FUNCTION pylon_room_touch(
  p_replica TEXT, p_room TEXT, p_usr TEXT, p_ms DOUBLE PRECISION)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM "_pylon_room_members" WHERE room = p_room AND usr = p_usr) THEN
    RETURN false;
  END IF;
  UPDATE "_pylon_room_members"
    SET due_at = clock_timestamp() + p_ms * interval '1 millisecond', holder = p_replica
    WHERE room = p_room AND usr = p_usr
      AND NOT EXISTS (SELECT FROM "_pylon_room_connections" WHERE usr = p_usr);
  RETURN true;
END;
$$;

CREATE OR REPLACE FUNCTION pylon_room_add(p_room TEXT, p_usr TEXT, p_data TEXT, p_joined BIGINT)
RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO "_pylon_room_members" (room, usr, data, joined_at)
    VALUES (p_room, p_usr, p_data, p_joined);
  INSERT INTO "_pylon_rooms" AS known (name, members) VALUES (p_room, 1)
    ON CONFLICT (name) DO UPDATE SET members = known.members + 1;
END;
$$;

-- p_swept: the replica whose lease expired, or ''. Returns whether the member existed.
CREATE OR REPLACE FUNCTION pylon_room_remove(p_room TEXT, p_usr TEXT, p_swept TEXT)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM "_pylon_room_members" WHERE room = p_room AND usr = p_usr;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE "_pylon_rooms" SET members = members - 1 WHERE name = p_room;
  DELETE FROM "_pylon_rooms" WHERE name = p_room AND members <= 0;
  PERFORM pylon_room_publish('leave', p_room, p_usr, p_swept, 0,
    '{"type":"leave","room":"' || p_room || '","user_id":"' || p_usr || '"}');
  RETURN true;
END;
$$;

-- Called when the user has no connection left: it stays a member until p_at.
CREATE OR REPLACE FUNCTION pylon_room_begin_grace(
  p_usr TEXT, p_at TIMESTAMPTZ, p_will TEXT, p_swept TEXT)
RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO "_pylon_room_leavers" (usr, gone_at, will, swept)
    VALUES (p_usr, p_at, p_will, p_swept)
    ON CONFLICT (usr) DO UPDATE
      SET gone_at = excluded.gone_at, will = excluded.will, swept = excluded.swept;
END;
$$;
