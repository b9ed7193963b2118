-- The leases of the replicas, and the sweep, which removes expired data.

-- Takes a lease. Returns whether the old one was still valid.
CREATE OR REPLACE FUNCTION pylon_room_enter(
  p_replica TEXT, p_lease DOUBLE PRECISION, p_grace DOUBLE PRECISION, p_is_returning BOOLEAN)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
  v_good BOOLEAN;
  v_now TIMESTAMPTZ;
  v_lease INTERVAL := p_lease * interval '1 millisecond';
  v_grace INTERVAL := p_grace * interval '1 millisecond';
BEGIN
  PERFORM pylon_room_begin('', '', '');
  PERFORM pg_advisory_xact_lock('"_pylon_rooms"'::regclass::oid::int4, 0);
  v_now := clock_timestamp();
  v_good := EXISTS (
    SELECT FROM "_pylon_room_replicas" WHERE id = p_replica AND ends_at > v_now);
  INSERT INTO "_pylon_room_replicas" (id, ends_at) VALUES (p_replica, v_now + v_lease)
    ON CONFLICT (id) DO UPDATE SET ends_at = excluded.ends_at;
  -- Postgres itself was unavailable: nothing could be renewed, so everything is extended a little.
  -- Not repeatedly.
  IF p_is_returning AND NOT EXISTS (
    SELECT FROM "_pylon_room_replicas" WHERE reprieved_at > v_now - interval '10 seconds'
  ) THEN
    UPDATE "_pylon_room_replicas" SET reprieved_at = v_now WHERE id = p_replica;
    UPDATE "_pylon_room_replicas" SET ends_at = v_now + v_lease WHERE ends_at <= v_now;
    UPDATE "_pylon_room_members" m SET due_at = v_now + v_grace FROM (
        SELECT room, usr FROM "_pylon_room_members"
        WHERE due_at <= v_now + v_grace FOR UPDATE SKIP LOCKED
      ) late WHERE m.room = late.room AND m.usr = late.usr;
    UPDATE "_pylon_room_leavers" l SET gone_at = v_now + v_grace FROM (
        SELECT usr FROM "_pylon_room_leavers"
        WHERE gone_at <= v_now + v_grace FOR UPDATE SKIP LOCKED
      ) late WHERE l.usr = late.usr;
  END IF;
  RETURN v_good;
END;
$$;

-- Renews the lease and sweeps. Returns whether there was a lease, and whether there is more to
-- sweep.
CREATE OR REPLACE FUNCTION pylon_room_keep(p_replica TEXT, p_lease DOUBLE PRECISION, p_most INT)
RETURNS TABLE (is_alive BOOLEAN, has_more BOOLEAN) LANGUAGE plpgsql AS $$
DECLARE
  v_until TIMESTAMPTZ := clock_timestamp() + p_lease * interval '1 millisecond';
BEGIN
  PERFORM pylon_room_begin('', '', '');
  -- With one call per second, every second call writes.
  UPDATE "_pylon_room_replicas" SET ends_at = v_until
    WHERE id = p_replica AND ends_at < v_until - interval '1500 milliseconds';
  is_alive := FOUND OR EXISTS (SELECT FROM "_pylon_room_replicas" WHERE id = p_replica);
  has_more := is_alive AND pylon_room_sweep(p_most);
  RETURN NEXT;
END;
$$;

-- p_most: the approximate maximum of removals; each holds locks until the end, and a server has a
-- bounded number of locks. Returns whether there is more to do.
CREATE OR REPLACE FUNCTION pylon_room_sweep(p_most INT)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
  v_now TIMESTAMPTZ := clock_timestamp();
  v_work INT := 0;
BEGIN
  IF NOT (
    EXISTS (SELECT FROM "_pylon_room_replicas" WHERE ends_at <= v_now)
    OR EXISTS (SELECT FROM "_pylon_room_leavers" WHERE gone_at <= v_now)
    OR EXISTS (SELECT FROM "_pylon_room_members" WHERE due_at <= v_now)
    OR pylon_channel_has_expired()
  ) OR NOT pg_try_advisory_xact_lock('"_pylon_rooms"'::regclass::oid::int4, 0) THEN
    RETURN false;
  END IF;
  PERFORM pylon_channel_delete_expired();
  v_work := pylon_room_sweep_replicas(v_now, p_most);
  v_work := v_work + pylon_room_sweep_leavers(v_now, p_most - v_work);
  v_work := v_work + pylon_room_sweep_members(v_now, p_most - v_work);
  RETURN v_work >= p_most;
END;
$$;

-- Removes everything that depends on replicas whose lease has expired. Returns the number of
-- removals.
CREATE OR REPLACE FUNCTION pylon_room_sweep_replicas(p_now TIMESTAMPTZ, p_most INT)
RETURNS INT LANGUAGE plpgsql AS $$
DECLARE
  v_work INT := 0;
  v_dead RECORD;
  v_it RECORD;
BEGIN
  FOR v_dead IN SELECT id FROM "_pylon_room_replicas" WHERE ends_at <= p_now LOOP
    CONTINUE WHEN NOT pg_try_advisory_xact_lock(
      '"_pylon_room_replicas"'::regclass::oid::int4, hashtext(v_dead.id));
    PERFORM FROM "_pylon_room_replicas"
      WHERE id = v_dead.id AND ends_at <= p_now FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    FOR v_it IN
      SELECT usr, will FROM "_pylon_room_connections" WHERE replica = v_dead.id LIMIT p_most
    LOOP
      EXIT WHEN v_work >= p_most;
      CONTINUE WHEN NOT pylon_room_try_lock_user(v_it.usr);
      DELETE FROM "_pylon_room_connections" WHERE usr = v_it.usr AND replica = v_dead.id;
      v_work := v_work + 1;
      IF NOT EXISTS (SELECT FROM "_pylon_room_connections" WHERE usr = v_it.usr) THEN
        PERFORM pylon_room_begin_grace(v_it.usr, p_now, v_it.will, v_dead.id);
      END IF;
    END LOOP;
    FOR v_it IN
      SELECT room, usr FROM "_pylon_room_members" WHERE holder = v_dead.id LIMIT p_most
    LOOP
      EXIT WHEN v_work >= p_most;
      CONTINUE WHEN NOT pylon_room_try_lock_user(v_it.usr);
      CONTINUE WHEN NOT pylon_room_try_lock_room(v_it.room);
      CONTINUE WHEN NOT EXISTS (
        SELECT FROM "_pylon_room_members"
        WHERE room = v_it.room AND usr = v_it.usr AND holder = v_dead.id);
      PERFORM pylon_room_remove(v_it.room, v_it.usr, v_dead.id);
      v_work := v_work + 1;
    END LOOP;
    IF NOT EXISTS (SELECT FROM "_pylon_room_connections" WHERE replica = v_dead.id)
      AND NOT EXISTS (SELECT FROM "_pylon_room_members" WHERE holder = v_dead.id)
    THEN
      DELETE FROM "_pylon_room_replicas" WHERE id = v_dead.id;
    END IF;
  END LOOP;
  RETURN v_work;
END;
$$;

-- Removes the users whose grace period has ended. Returns the number of removals.
CREATE OR REPLACE FUNCTION pylon_room_sweep_leavers(p_now TIMESTAMPTZ, p_most INT)
RETURNS INT LANGUAGE plpgsql AS $$
DECLARE
  v_work INT := 0;
  v_done BOOLEAN;
  v_it RECORD;
  v_room TEXT;
BEGIN
  FOR v_it IN
    SELECT usr FROM "_pylon_room_leavers" WHERE gone_at <= p_now LIMIT greatest(p_most, 0)
  LOOP
    EXIT WHEN v_work >= p_most;
    CONTINUE WHEN NOT pylon_room_try_lock_user(v_it.usr);
    -- The state may have changed before the lock was acquired.
    SELECT usr, will, swept INTO v_it FROM "_pylon_room_leavers"
      WHERE usr = v_it.usr AND gone_at <= p_now;
    CONTINUE WHEN NOT FOUND;
    v_done := true;
    -- The memberships that no call has renewed since the last connection closed.
    FOR v_room IN
      SELECT room FROM "_pylon_room_members" WHERE usr = v_it.usr AND due_at IS NULL
    LOOP
      IF pylon_room_try_lock_room(v_room) THEN
        PERFORM pylon_room_remove(v_room, v_it.usr, v_it.swept);
        v_work := v_work + 1;
      ELSE
        v_done := false;
      END IF;
    END LOOP;
    CONTINUE WHEN NOT v_done;
    DELETE FROM "_pylon_room_leavers" WHERE usr = v_it.usr;
    v_work := v_work + 1;
    IF v_it.will IS NOT NULL THEN
      PERFORM pylon_channel_send(v_it.will);
    END IF;
  END LOOP;
  RETURN v_work;
END;
$$;

-- Removes the members whose idle time has ended. Returns the number of removals.
CREATE OR REPLACE FUNCTION pylon_room_sweep_members(p_now TIMESTAMPTZ, p_most INT)
RETURNS INT LANGUAGE plpgsql AS $$
DECLARE
  v_work INT := 0;
  v_it RECORD;
BEGIN
  FOR v_it IN
    SELECT room, usr FROM "_pylon_room_members" WHERE due_at <= p_now LIMIT greatest(p_most, 0)
  LOOP
    EXIT WHEN v_work >= p_most;
    CONTINUE WHEN NOT pylon_room_try_lock_user(v_it.usr);
    CONTINUE WHEN NOT pylon_room_try_lock_room(v_it.room);
    CONTINUE WHEN NOT EXISTS (
      SELECT FROM "_pylon_room_members"
      WHERE room = v_it.room AND usr = v_it.usr AND due_at <= p_now);
    PERFORM pylon_room_remove(v_it.room, v_it.usr, '');
    v_work := v_work + 1;
  END LOOP;
  RETURN v_work;
END;
$$;

-- Ends the lease. Returns whether there is more to do: call it again.
CREATE OR REPLACE FUNCTION pylon_room_retire(
  p_replica TEXT, p_hand_over DOUBLE PRECISION, p_most INT)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
  v_usr TEXT;
  v_will TEXT;
BEGIN
  PERFORM pylon_room_begin('', '', '');
  PERFORM pg_advisory_xact_lock(
    '"_pylon_room_replicas"'::regclass::oid::int4, hashtext(p_replica));
  FOR v_usr IN
    SELECT usr FROM (
      SELECT usr FROM "_pylon_room_connections" WHERE replica = p_replica
      UNION SELECT usr FROM "_pylon_room_members" WHERE holder = p_replica
    ) mine ORDER BY hashtext(usr) LIMIT p_most
  LOOP
    PERFORM pg_advisory_xact_lock(
      '"_pylon_room_connections"'::regclass::oid::int4, hashtext(v_usr));
    DELETE FROM "_pylon_room_connections"
      WHERE usr = v_usr AND replica = p_replica RETURNING will INTO v_will;
    IF FOUND AND NOT EXISTS (SELECT FROM "_pylon_room_connections" WHERE usr = v_usr) THEN
      PERFORM pylon_room_begin_grace(
        v_usr, clock_timestamp() + p_hand_over * interval '1 millisecond', v_will, '');
    END IF;
    UPDATE "_pylon_room_members" SET holder = NULL WHERE usr = v_usr AND holder = p_replica;
  END LOOP;
  IF EXISTS (SELECT FROM "_pylon_room_connections" WHERE replica = p_replica)
    OR EXISTS (SELECT FROM "_pylon_room_members" WHERE holder = p_replica)
  THEN
    RETURN true;
  END IF;
  DELETE FROM "_pylon_room_replicas" WHERE id = p_replica;
  RETURN false;
END;
$$;
