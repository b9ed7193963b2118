-- The calls caused by users, each with the contract of the method of RoomBackend that makes it.
-- `p_usr` of broadcast, members and rooms: '' for the admin, or for all. `p_ms`: how long a member
-- without a connection stays after this call, in milliseconds.

CREATE OR REPLACE FUNCTION pylon_room_join(
  p_replica TEXT, p_room TEXT, p_usr TEXT, p_data TEXT, p_text TEXT, p_ms DOUBLE PRECISION,
  p_max_rooms INT, p_max_rooms_of_user INT)
RETURNS TABLE (name TEXT, data TEXT, joined_at BIGINT) LANGUAGE plpgsql AS $$
DECLARE
  v_joined BIGINT;
BEGIN
  PERFORM pylon_room_begin(p_replica, p_usr, p_room);
  RETURN QUERY SELECT m.usr, m.data, m.joined_at FROM "_pylon_room_members" m
    WHERE m.room = p_room ORDER BY m.joined_at, m.usr;
  UPDATE "_pylon_room_members" m SET data = p_data
    WHERE m.room = p_room AND m.usr = p_usr RETURNING m.joined_at INTO v_joined;
  IF NOT FOUND THEN
    IF NOT EXISTS (SELECT FROM "_pylon_rooms" r WHERE r.name = p_room)
      AND (SELECT count(*) FROM "_pylon_rooms") >= p_max_rooms
    THEN
      RAISE EXCEPTION 'too many rooms' USING ERRCODE = 'PYR01';
    END IF;
    IF (SELECT count(*) FROM "_pylon_room_members" m WHERE m.usr = p_usr) >= p_max_rooms_of_user
    THEN
      RAISE EXCEPTION 'too many rooms of the user' USING ERRCODE = 'PYR02';
    END IF;
    v_joined := floor(extract(epoch FROM clock_timestamp()));
    PERFORM pylon_room_add(p_room, p_usr, p_data, v_joined);
  END IF;
  PERFORM pylon_room_touch(p_replica, p_room, p_usr, p_ms);
  PERFORM pylon_room_publish('join', p_room, p_usr, p_replica, v_joined, p_text);
END;
$$;

CREATE OR REPLACE FUNCTION pylon_room_leave(p_room TEXT, p_usr TEXT)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pylon_room_begin('', p_usr, p_room);
  RETURN pylon_room_remove(p_room, p_usr, '');
END;
$$;

CREATE OR REPLACE FUNCTION pylon_room_presence(
  p_replica TEXT, p_room TEXT, p_usr TEXT, p_data TEXT, p_text TEXT, p_ms DOUBLE PRECISION)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
  v_live BOOLEAN;
  v_joined BIGINT;
  v_due TIMESTAMPTZ;
BEGIN
  PERFORM pylon_room_begin(p_replica, p_usr, p_room);
  v_due := clock_timestamp() + p_ms * interval '1 millisecond';
  v_live := EXISTS (SELECT FROM "_pylon_room_connections" WHERE usr = p_usr);
  UPDATE "_pylon_room_members" SET
      data = p_data,
      due_at = CASE WHEN v_live THEN due_at ELSE v_due END,
      holder = CASE WHEN v_live THEN holder ELSE p_replica END
    WHERE room = p_room AND usr = p_usr RETURNING joined_at INTO v_joined;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM pylon_room_publish('presence', p_room, p_usr, p_replica, v_joined, p_text);
  RETURN true;
END;
$$;

CREATE OR REPLACE FUNCTION pylon_room_broadcast(
  p_replica TEXT, p_room TEXT, p_usr TEXT, p_text TEXT, p_ms DOUBLE PRECISION)
RETURNS TEXT LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pylon_room_begin(p_replica, p_usr, p_room);
  IF p_usr <> '' THEN
    IF NOT pylon_room_touch(p_replica, p_room, p_usr, p_ms) THEN
      RETURN 'not_in_room';
    END IF;
  ELSIF NOT EXISTS (SELECT FROM "_pylon_rooms" WHERE name = p_room) THEN
    RETURN 'room_empty';
  END IF;
  PERFORM pylon_room_publish('broadcast', p_room, '', '', 0, p_text);
  RETURN 'sent';
END;
$$;

CREATE OR REPLACE FUNCTION pylon_room_members(
  p_replica TEXT, p_room TEXT, p_usr TEXT, p_ms DOUBLE PRECISION)
RETURNS TABLE (name TEXT, data TEXT, joined_at BIGINT) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pylon_room_begin(p_replica, p_usr, '');
  IF p_usr <> '' AND NOT pylon_room_touch(p_replica, p_room, p_usr, p_ms) THEN
    RAISE EXCEPTION 'not in the room' USING ERRCODE = 'PYR04';
  END IF;
  RETURN QUERY SELECT m.usr, m.data, m.joined_at FROM "_pylon_room_members" m
    WHERE m.room = p_room ORDER BY m.joined_at, m.usr;
END;
$$;

CREATE OR REPLACE FUNCTION pylon_room_rooms(p_usr TEXT)
RETURNS TABLE (name TEXT, members INT) LANGUAGE plpgsql AS $$
BEGIN
  IF p_usr = '' THEN
    RETURN QUERY SELECT r.name, r.members FROM "_pylon_rooms" r;
  ELSE
    RETURN QUERY SELECT r.name, r.members FROM "_pylon_room_members" m
      JOIN "_pylon_rooms" r ON r.name = m.room WHERE m.usr = p_usr;
  END IF;
END;
$$;

CREATE OR REPLACE FUNCTION pylon_room_send(p_text TEXT)
RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pylon_room_begin('', '', '');
  PERFORM pylon_channel_send(p_text);
END;
$$;

CREATE OR REPLACE FUNCTION pylon_room_connect(p_replica TEXT, p_usr TEXT, p_will TEXT)
RETURNS TABLE (name TEXT, data TEXT, joined_at BIGINT) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pylon_room_begin(p_replica, p_usr, '');
  INSERT INTO "_pylon_room_connections" (usr, replica, will) VALUES (p_usr, p_replica, p_will)
    ON CONFLICT (usr, replica) DO UPDATE SET will = excluded.will;
  DELETE FROM "_pylon_room_leavers" WHERE usr = p_usr;
  UPDATE "_pylon_room_members" SET due_at = NULL, holder = NULL
    WHERE usr = p_usr AND (due_at IS NOT NULL OR holder IS NOT NULL);
  RETURN QUERY SELECT m.room, m.data, m.joined_at FROM "_pylon_room_members" m
    WHERE m.usr = p_usr;
END;
$$;

-- p_will: '' for none.
CREATE OR REPLACE FUNCTION pylon_room_disconnect(
  p_replica TEXT, p_usr TEXT, p_will TEXT, p_grace DOUBLE PRECISION)
RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pylon_room_begin('', p_usr, '');
  DELETE FROM "_pylon_room_connections" WHERE usr = p_usr AND replica = p_replica;
  IF NOT FOUND OR EXISTS (SELECT FROM "_pylon_room_connections" WHERE usr = p_usr) THEN
    RETURN;
  END IF;
  IF p_will <> '' THEN
    PERFORM pylon_channel_send(p_will);
  END IF;
  IF EXISTS (SELECT FROM "_pylon_room_members" WHERE usr = p_usr) THEN
    PERFORM pylon_room_begin_grace(
      p_usr, clock_timestamp() + p_grace * interval '1 millisecond', NULL, '');
  END IF;
END;
$$;

CREATE OR REPLACE FUNCTION pylon_room_register(
  p_replica TEXT, p_room TEXT, p_usr TEXT, p_data TEXT, p_joined BIGINT,
  p_join_text TEXT, p_presence_text TEXT, p_ms DOUBLE PRECISION)
RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
  v_known "_pylon_room_members";
BEGIN
  PERFORM pylon_room_begin(p_replica, p_usr, p_room);
  SELECT * INTO v_known FROM "_pylon_room_members" WHERE room = p_room AND usr = p_usr;
  IF NOT FOUND THEN
    PERFORM pylon_room_add(p_room, p_usr, p_data, p_joined);
    PERFORM pylon_room_publish('join', p_room, p_usr, p_replica, p_joined, p_join_text);
  ELSIF v_known.data <> p_data THEN
    UPDATE "_pylon_room_members" SET data = p_data WHERE room = p_room AND usr = p_usr;
    PERFORM pylon_room_publish(
      'presence', p_room, p_usr, p_replica, v_known.joined_at, p_presence_text);
  END IF;
  PERFORM pylon_room_touch(p_replica, p_room, p_usr, p_ms);
END;
$$;
