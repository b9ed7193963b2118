import { hash } from "node:crypto";

/**
 * Longest message that a notification carries itself, in bytes; Postgres takes 7,999, the mark
 * included.
 */
const MAX_INLINE = 7_900;
/**
 * How long a call waits for a lock, in milliseconds: it takes three, and has to have answered
 * within the link's deadline.
 */
const LOCK_MS = 500;
/** How long a longer one is kept for the replicas to fetch, in seconds. */
const KEPT_SECONDS = 60;
/** The SQLSTATEs by which the functions refuse. */
export const ROOM_REFUSALS = {
  rooms: "PYR01",
  roomsOfUser: "PYR02",
  noLease: "PYR03",
  notInRoom: "PYR04",
} as const;

/**
 * The tables of the rooms. They are UNLOGGED: nothing in them is durable, and after a crash of
 * Postgres they are empty. Names of rooms and users (`usr`) are as they stand between the quotes of
 * a JSON string, so they may have any character, and messages are made of them as they are.
 *
 * - `leavers`: users without a connection until the end of their grace, what is to be said at that
 *   end, and the replica that is to blame
 * - `members`: with `due_at` those that depend on calls, and `holder`, the replica of the last one
 */
const TABLES: readonly string[] = [
  `CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_messages" (
     id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text TEXT NOT NULL, at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp())`,
  `CREATE INDEX IF NOT EXISTS "_pylon_messages_at" ON "_pylon_messages" (at)`,
  `CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_rooms" (name TEXT COLLATE "C" PRIMARY KEY, members INT NOT NULL)`,
  `CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_room_members" (
     room TEXT COLLATE "C", usr TEXT COLLATE "C", data TEXT NOT NULL, joined_at BIGINT NOT NULL, due_at TIMESTAMPTZ, holder TEXT COLLATE "C", PRIMARY KEY (room, usr)
   ) WITH (fillfactor = 70)`,
  `CREATE INDEX IF NOT EXISTS "_pylon_room_members_usr" ON "_pylon_room_members" (usr)`,
  `CREATE INDEX IF NOT EXISTS "_pylon_room_members_due" ON "_pylon_room_members" (due_at) WHERE due_at IS NOT NULL`,
  `CREATE INDEX IF NOT EXISTS "_pylon_room_members_holder" ON "_pylon_room_members" (holder) WHERE holder IS NOT NULL`,
  `CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_room_connections" (usr TEXT COLLATE "C", replica TEXT COLLATE "C", will TEXT NOT NULL, PRIMARY KEY (usr, replica))`,
  `CREATE INDEX IF NOT EXISTS "_pylon_room_connections_replica" ON "_pylon_room_connections" (replica)`,
  `CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_room_leavers" (usr TEXT COLLATE "C" PRIMARY KEY, gone_at TIMESTAMPTZ NOT NULL, will TEXT, swept TEXT NOT NULL DEFAULT '')`,
  `CREATE INDEX IF NOT EXISTS "_pylon_room_leavers_gone" ON "_pylon_room_leavers" (gone_at)`,
  `CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_room_replicas" (id TEXT COLLATE "C" PRIMARY KEY, ends_at TIMESTAMPTZ NOT NULL, reprieved_at TIMESTAMPTZ) WITH (fillfactor = 50)`,
  `CREATE INDEX IF NOT EXISTS "_pylon_room_replicas_ends" ON "_pylon_room_replicas" (ends_at)`,
];

/**
 * The first key of an advisory lock: that of a table, so that two Pylons in two schemas of one
 * database do not meet.
 */
const lockOf = (table: string): string => `'"${table}"'::regclass::oid::int4`;
const [REPLICA, USER, ROOM, SWEEP] = [
  lockOf("_pylon_room_replicas"),
  lockOf("_pylon_room_connections"),
  lockOf("_pylon_room_members"),
  lockOf("_pylon_rooms"),
];
const CHANNEL = `('pylon_' || '"_pylon_messages"'::regclass::oid)`;

/**
 * The functions, each with its arguments, what it returns, and its body; `@name` in a body is
 * another of them.
 *
 * A call is one transaction. It takes its locks in one order: its replica's (shared: against being
 * swept meanwhile), its user's (whoever connects, and whoever changes a member, must know whether
 * the user is connected), its room's (so that the order of changes is that of messages), and the
 * one of Postgres' own that notifications take at the commit. So calls never wait for each other in
 * a circle. The sweep takes many locks, hence it waits for none: what is locked just now is swept
 * the next time.
 */
const FUNCTIONS: Readonly<Record<string, readonly [args: string, returns: string, body: string]>> =
  {
    channel: ["", "TEXT", `BEGIN RETURN ${CHANNEL}; END`],

    say: [
      "p_text TEXT",
      "VOID",
      `DECLARE
       v_id BIGINT;
     BEGIN
       IF octet_length(p_text) <= ${MAX_INLINE} THEN
         PERFORM pg_notify(${CHANNEL}, '=' || p_text);
       ELSE
         INSERT INTO "_pylon_messages" (text) VALUES (p_text) RETURNING id INTO v_id;
         PERFORM pg_notify(${CHANNEL}, '#' || v_id);
       END IF;
     END`,
    ],

    tell: [
      "p_kind TEXT, p_room TEXT, p_usr TEXT, p_origin TEXT, p_joined BIGINT, p_text TEXT",
      "VOID",
      `BEGIN
       PERFORM @say('["' || p_kind || '","' || p_room || '","' || p_usr || '","' || p_origin || '",' || p_joined || E']\\n' || p_text);
     END`,
    ],

    // Each statement of a function must see what was committed before it, also while it waited for
    // a lock.
    begin: [
      "p_replica TEXT, p_usr TEXT, p_room TEXT",
      "VOID",
      `BEGIN
       IF current_setting('transaction_isolation') <> 'read committed' THEN
         RAISE EXCEPTION 'rooms are kept in READ COMMITTED only';
       END IF;
       PERFORM set_config('synchronous_commit', 'off', true), set_config('lock_timeout', '${LOCK_MS}ms', true);
       -- Plans are made while the tables are empty and kept while they grow. What avoids a scan of a table looks so costly that it would be compiled.
       PERFORM set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true);
       IF p_replica <> '' THEN
         PERFORM pg_advisory_xact_lock_shared(${REPLICA}, hashtext(p_replica));
       END IF;
       IF p_usr <> '' THEN
         PERFORM pg_advisory_xact_lock(${USER}, hashtext(p_usr));
       END IF;
       IF p_room <> '' THEN
         PERFORM pg_advisory_xact_lock(${ROOM}, hashtext(p_room));
       END IF;
       IF p_replica <> '' AND NOT EXISTS (SELECT FROM "_pylon_room_replicas" WHERE id = p_replica) THEN
         RAISE EXCEPTION 'this replica has no lease' USING ERRCODE = '${ROOM_REFUSALS.noLease}';
       END IF;
     END`,
    ],

    /**
     * The member made a call: without a connection it stays for a while.
     *
     * @returns whether it is there
     */
    touch: [
      "p_replica TEXT, p_room TEXT, p_usr TEXT, p_ms DOUBLE PRECISION",
      "BOOLEAN",
      `BEGIN
       IF NOT EXISTS (SELECT FROM "_pylon_room_members" WHERE room = p_room AND usr = p_usr) THEN
         RETURN false;
       END IF;
       UPDATE "_pylon_room_members" SET due_at = clock_timestamp() + p_ms * interval '1 millisecond', holder = p_replica
         WHERE room = p_room AND usr = p_usr AND NOT EXISTS (SELECT FROM "_pylon_room_connections" WHERE usr = p_usr);
       RETURN true;
     END`,
    ],

    add: [
      "p_room TEXT, p_usr TEXT, p_data TEXT, p_joined BIGINT",
      "VOID",
      `BEGIN
       INSERT INTO "_pylon_room_members" (room, usr, data, joined_at) VALUES (p_room, p_usr, p_data, p_joined);
       INSERT INTO "_pylon_rooms" AS known (name, members) VALUES (p_room, 1) ON CONFLICT (name) DO UPDATE SET members = known.members + 1;
     END`,
    ],

    /** p_swept: the replica whose lease ran out, or '' */
    remove: [
      "p_room TEXT, p_usr TEXT, p_swept TEXT",
      "BOOLEAN",
      `BEGIN
       DELETE FROM "_pylon_room_members" WHERE room = p_room AND usr = p_usr;
       IF NOT FOUND THEN
         RETURN false;
       END IF;
       UPDATE "_pylon_rooms" SET members = members - 1 WHERE name = p_room;
       DELETE FROM "_pylon_rooms" WHERE name = p_room AND members <= 0;
       PERFORM @tell('leave', p_room, p_usr, p_swept, 0, '{"type":"leave","room":"' || p_room || '","user_id":"' || p_usr || '"}');
       RETURN true;
     END`,
    ],

    join: [
      "p_replica TEXT, p_room TEXT, p_usr TEXT, p_data TEXT, p_text TEXT, p_ms DOUBLE PRECISION, p_most INT, p_most_of_user INT",
      "TABLE (name TEXT, data TEXT, joined_at BIGINT)",
      `DECLARE
       v_joined BIGINT;
     BEGIN
       PERFORM @begin(p_replica, p_usr, p_room);
       RETURN QUERY SELECT m.usr, m.data, m.joined_at FROM "_pylon_room_members" m WHERE m.room = p_room ORDER BY m.joined_at, m.usr;
       UPDATE "_pylon_room_members" m SET data = p_data WHERE m.room = p_room AND m.usr = p_usr RETURNING m.joined_at INTO v_joined;
       IF NOT FOUND THEN
         IF NOT EXISTS (SELECT FROM "_pylon_rooms" r WHERE r.name = p_room) AND (SELECT count(*) FROM "_pylon_rooms") >= p_most THEN
           RAISE EXCEPTION 'too many rooms' USING ERRCODE = '${ROOM_REFUSALS.rooms}';
         END IF;
         IF (SELECT count(*) FROM "_pylon_room_members" m WHERE m.usr = p_usr) >= p_most_of_user THEN
           RAISE EXCEPTION 'too many rooms of the user' USING ERRCODE = '${ROOM_REFUSALS.roomsOfUser}';
         END IF;
         v_joined := floor(extract(epoch FROM clock_timestamp()));
         PERFORM @add(p_room, p_usr, p_data, v_joined);
       END IF;
       PERFORM @touch(p_replica, p_room, p_usr, p_ms);
       PERFORM @tell('join', p_room, p_usr, p_replica, v_joined, p_text);
     END`,
    ],

    leave: [
      "p_room TEXT, p_usr TEXT",
      "BOOLEAN",
      `BEGIN
       PERFORM @begin('', p_usr, p_room);
       RETURN @remove(p_room, p_usr, '');
     END`,
    ],

    presence: [
      "p_replica TEXT, p_room TEXT, p_usr TEXT, p_data TEXT, p_text TEXT, p_ms DOUBLE PRECISION",
      "BOOLEAN",
      `DECLARE
       v_live BOOLEAN;
       v_joined BIGINT;
     BEGIN
       PERFORM @begin(p_replica, p_usr, p_room);
       v_live := EXISTS (SELECT FROM "_pylon_room_connections" WHERE usr = p_usr);
       UPDATE "_pylon_room_members" SET data = p_data,
           due_at = CASE WHEN v_live THEN due_at ELSE clock_timestamp() + p_ms * interval '1 millisecond' END, holder = CASE WHEN v_live THEN holder ELSE p_replica END
         WHERE room = p_room AND usr = p_usr RETURNING joined_at INTO v_joined;
       IF NOT FOUND THEN
         RETURN false;
       END IF;
       PERFORM @tell('presence', p_room, p_usr, p_replica, v_joined, p_text);
       RETURN true;
     END`,
    ],

    /** p_usr: '' for the admin */
    broadcast: [
      "p_replica TEXT, p_room TEXT, p_usr TEXT, p_text TEXT, p_ms DOUBLE PRECISION",
      "TEXT",
      `BEGIN
       PERFORM @begin(p_replica, p_usr, p_room);
       IF p_usr <> '' THEN
         IF NOT @touch(p_replica, p_room, p_usr, p_ms) THEN
           RETURN 'not_in_room';
         END IF;
       ELSIF NOT EXISTS (SELECT FROM "_pylon_rooms" WHERE name = p_room) THEN
         RETURN 'room_empty';
       END IF;
       PERFORM @tell('broadcast', p_room, '', '', 0, p_text);
       RETURN 'sent';
     END`,
    ],

    /** p_usr: '' for the admin */
    members: [
      "p_replica TEXT, p_room TEXT, p_usr TEXT, p_ms DOUBLE PRECISION",
      "TABLE (name TEXT, data TEXT, joined_at BIGINT)",
      `BEGIN
       PERFORM @begin(p_replica, p_usr, '');
       IF p_usr <> '' AND NOT @touch(p_replica, p_room, p_usr, p_ms) THEN
         RAISE EXCEPTION 'not in the room' USING ERRCODE = '${ROOM_REFUSALS.notInRoom}';
       END IF;
       RETURN QUERY SELECT m.usr, m.data, m.joined_at FROM "_pylon_room_members" m WHERE m.room = p_room ORDER BY m.joined_at, m.usr;
     END`,
    ],

    /** p_usr: '' for all */
    rooms: [
      "p_usr TEXT",
      "TABLE (name TEXT, members INT)",
      `BEGIN
       IF p_usr = '' THEN
         RETURN QUERY SELECT r.name, r.members FROM "_pylon_rooms" r;
       ELSE
         RETURN QUERY SELECT r.name, r.members FROM "_pylon_room_members" m JOIN "_pylon_rooms" r ON r.name = m.room WHERE m.usr = p_usr;
       END IF;
     END`,
    ],

    send: ["p_text TEXT", "VOID", `BEGIN PERFORM @begin('', '', ''); PERFORM @say(p_text); END`],

    connect: [
      "p_replica TEXT, p_usr TEXT, p_will TEXT",
      "TABLE (name TEXT, data TEXT, joined_at BIGINT)",
      `BEGIN
       PERFORM @begin(p_replica, p_usr, '');
       INSERT INTO "_pylon_room_connections" (usr, replica, will) VALUES (p_usr, p_replica, p_will) ON CONFLICT (usr, replica) DO UPDATE SET will = excluded.will;
       DELETE FROM "_pylon_room_leavers" WHERE usr = p_usr;
       UPDATE "_pylon_room_members" SET due_at = NULL, holder = NULL WHERE usr = p_usr AND (due_at IS NOT NULL OR holder IS NOT NULL);
       RETURN QUERY SELECT m.room, m.data, m.joined_at FROM "_pylon_room_members" m WHERE m.usr = p_usr;
     END`,
    ],

    /** p_will: '' for none */
    disconnect: [
      "p_replica TEXT, p_usr TEXT, p_will TEXT, p_grace DOUBLE PRECISION",
      "VOID",
      `BEGIN
       PERFORM @begin('', p_usr, '');
       DELETE FROM "_pylon_room_connections" WHERE usr = p_usr AND replica = p_replica;
       IF NOT FOUND OR EXISTS (SELECT FROM "_pylon_room_connections" WHERE usr = p_usr) THEN
         RETURN;
       END IF;
       IF p_will <> '' THEN
         PERFORM @say(p_will);
       END IF;
       IF EXISTS (SELECT FROM "_pylon_room_members" WHERE usr = p_usr) THEN
         PERFORM @let_go(p_usr, clock_timestamp() + p_grace * interval '1 millisecond', NULL, '');
       END IF;
     END`,
    ],

    let_go: [
      "p_usr TEXT, p_at TIMESTAMPTZ, p_will TEXT, p_swept TEXT",
      "VOID",
      `BEGIN
       INSERT INTO "_pylon_room_leavers" (usr, gone_at, will, swept) VALUES (p_usr, p_at, p_will, p_swept)
         ON CONFLICT (usr) DO UPDATE SET gone_at = excluded.gone_at, will = excluded.will, swept = excluded.swept;
     END`,
    ],

    register: [
      "p_replica TEXT, p_room TEXT, p_usr TEXT, p_data TEXT, p_joined BIGINT, p_join_text TEXT, p_presence_text TEXT, p_ms DOUBLE PRECISION",
      "VOID",
      `DECLARE
       v_known "_pylon_room_members";
     BEGIN
       PERFORM @begin(p_replica, p_usr, p_room);
       SELECT * INTO v_known FROM "_pylon_room_members" WHERE room = p_room AND usr = p_usr;
       IF NOT FOUND THEN
         PERFORM @add(p_room, p_usr, p_data, p_joined);
         PERFORM @tell('join', p_room, p_usr, p_replica, p_joined, p_join_text);
       ELSIF v_known.data <> p_data THEN
         UPDATE "_pylon_room_members" SET data = p_data WHERE room = p_room AND usr = p_usr;
         PERFORM @tell('presence', p_room, p_usr, p_replica, v_known.joined_at, p_presence_text);
       END IF;
       PERFORM @touch(p_replica, p_room, p_usr, p_ms);
     END`,
    ],

    /** @returns whether the lease was still good */
    enter: [
      "p_replica TEXT, p_lease DOUBLE PRECISION, p_grace DOUBLE PRECISION, p_is_returning BOOLEAN",
      "BOOLEAN",
      `DECLARE
       v_good BOOLEAN;
       v_now TIMESTAMPTZ;
       v_lease INTERVAL := p_lease * interval '1 millisecond';
       v_grace INTERVAL := p_grace * interval '1 millisecond';
     BEGIN
       PERFORM @begin('', '', '');
       PERFORM pg_advisory_xact_lock(${SWEEP}, 0);
       v_now := clock_timestamp();
       v_good := EXISTS (SELECT FROM "_pylon_room_replicas" WHERE id = p_replica AND ends_at > v_now);
       INSERT INTO "_pylon_room_replicas" (id, ends_at) VALUES (p_replica, v_now + v_lease) ON CONFLICT (id) DO UPDATE SET ends_at = excluded.ends_at;
       -- Postgres itself was away: nobody could renew anything, so everybody gets a little time. Not again and again.
       IF p_is_returning AND NOT EXISTS (SELECT FROM "_pylon_room_replicas" WHERE reprieved_at > v_now - interval '10 seconds') THEN
         UPDATE "_pylon_room_replicas" SET reprieved_at = v_now WHERE id = p_replica;
         UPDATE "_pylon_room_replicas" SET ends_at = v_now + v_lease WHERE ends_at <= v_now;
         UPDATE "_pylon_room_members" m SET due_at = v_now + v_grace FROM (
             SELECT room, usr FROM "_pylon_room_members" WHERE due_at <= v_now + v_grace FOR UPDATE SKIP LOCKED
           ) late WHERE m.room = late.room AND m.usr = late.usr;
         UPDATE "_pylon_room_leavers" l SET gone_at = v_now + v_grace FROM (
             SELECT usr FROM "_pylon_room_leavers" WHERE gone_at <= v_now + v_grace FOR UPDATE SKIP LOCKED
           ) late WHERE l.usr = late.usr;
       END IF;
       RETURN v_good;
     END`,
    ],

    /**
     * Renews the lease and sweeps.
     *
     * @returns whether there was a lease, and whether there is more to sweep
     */
    keep: [
      "p_replica TEXT, p_lease DOUBLE PRECISION, p_most INT",
      "TABLE (is_alive BOOLEAN, has_more BOOLEAN)",
      `DECLARE
       v_until TIMESTAMPTZ := clock_timestamp() + p_lease * interval '1 millisecond';
     BEGIN
       PERFORM @begin('', '', '');
       -- A call every second writes every second time.
       UPDATE "_pylon_room_replicas" SET ends_at = v_until WHERE id = p_replica AND ends_at < v_until - interval '1500 milliseconds';
       is_alive := FOUND OR EXISTS (SELECT FROM "_pylon_room_replicas" WHERE id = p_replica);
       has_more := is_alive AND @sweep(p_most);
       RETURN NEXT;
     END`,
    ],

    /**
     * p_most: about how many removals; each holds locks until the end, of which a server has a
     * bounded number
     */
    sweep: [
      "p_most INT",
      "BOOLEAN",
      `DECLARE
       v_now TIMESTAMPTZ := clock_timestamp();
       v_old TIMESTAMPTZ := v_now - interval '${KEPT_SECONDS} seconds';
       v_work INT := 0;
       v_done BOOLEAN;
       v_dead RECORD;
       v_it RECORD;
       v_room TEXT;
     BEGIN
       IF NOT (
         EXISTS (SELECT FROM "_pylon_room_replicas" WHERE ends_at <= v_now) OR EXISTS (SELECT FROM "_pylon_room_leavers" WHERE gone_at <= v_now)
         OR EXISTS (SELECT FROM "_pylon_room_members" WHERE due_at <= v_now) OR EXISTS (SELECT FROM "_pylon_messages" WHERE at <= v_old)
       ) OR NOT pg_try_advisory_xact_lock(${SWEEP}, 0) THEN
         RETURN false;
       END IF;
       DELETE FROM "_pylon_messages" WHERE at <= v_old;

       FOR v_dead IN SELECT id FROM "_pylon_room_replicas" WHERE ends_at <= v_now LOOP
         CONTINUE WHEN NOT pg_try_advisory_xact_lock(${REPLICA}, hashtext(v_dead.id));
         PERFORM FROM "_pylon_room_replicas" WHERE id = v_dead.id AND ends_at <= v_now FOR UPDATE SKIP LOCKED;
         CONTINUE WHEN NOT FOUND;
         FOR v_it IN SELECT usr, will FROM "_pylon_room_connections" WHERE replica = v_dead.id LIMIT p_most LOOP
           EXIT WHEN v_work >= p_most;
           CONTINUE WHEN NOT pg_try_advisory_xact_lock(${USER}, hashtext(v_it.usr));
           DELETE FROM "_pylon_room_connections" WHERE usr = v_it.usr AND replica = v_dead.id;
           v_work := v_work + 1;
           IF NOT EXISTS (SELECT FROM "_pylon_room_connections" WHERE usr = v_it.usr) THEN
             PERFORM @let_go(v_it.usr, v_now, v_it.will, v_dead.id);
           END IF;
         END LOOP;
         FOR v_it IN SELECT room, usr FROM "_pylon_room_members" WHERE holder = v_dead.id LIMIT p_most LOOP
           EXIT WHEN v_work >= p_most;
           CONTINUE WHEN NOT pg_try_advisory_xact_lock(${USER}, hashtext(v_it.usr));
           CONTINUE WHEN NOT pg_try_advisory_xact_lock(${ROOM}, hashtext(v_it.room));
           CONTINUE WHEN NOT EXISTS (SELECT FROM "_pylon_room_members" WHERE room = v_it.room AND usr = v_it.usr AND holder = v_dead.id);
           PERFORM @remove(v_it.room, v_it.usr, v_dead.id);
           v_work := v_work + 1;
         END LOOP;
         IF NOT EXISTS (SELECT FROM "_pylon_room_connections" WHERE replica = v_dead.id) AND NOT EXISTS (SELECT FROM "_pylon_room_members" WHERE holder = v_dead.id) THEN
           DELETE FROM "_pylon_room_replicas" WHERE id = v_dead.id;
         END IF;
       END LOOP;

       FOR v_it IN SELECT usr FROM "_pylon_room_leavers" WHERE gone_at <= v_now LIMIT p_most LOOP
         EXIT WHEN v_work >= p_most;
         CONTINUE WHEN NOT pg_try_advisory_xact_lock(${USER}, hashtext(v_it.usr));
         -- What was so before the lock need not be any more.
         SELECT usr, will, swept INTO v_it FROM "_pylon_room_leavers" WHERE usr = v_it.usr AND gone_at <= v_now;
         CONTINUE WHEN NOT FOUND;
         v_done := true;
         -- The memberships that no call has renewed since the last connection closed.
         FOR v_room IN SELECT room FROM "_pylon_room_members" WHERE usr = v_it.usr AND due_at IS NULL LOOP
           IF pg_try_advisory_xact_lock(${ROOM}, hashtext(v_room)) THEN
             PERFORM @remove(v_room, v_it.usr, v_it.swept);
             v_work := v_work + 1;
           ELSE
             v_done := false;
           END IF;
         END LOOP;
         CONTINUE WHEN NOT v_done;
         DELETE FROM "_pylon_room_leavers" WHERE usr = v_it.usr;
         v_work := v_work + 1;
         IF v_it.will IS NOT NULL THEN
           PERFORM @say(v_it.will);
         END IF;
       END LOOP;

       FOR v_it IN SELECT room, usr FROM "_pylon_room_members" WHERE due_at <= v_now LIMIT p_most LOOP
         EXIT WHEN v_work >= p_most;
         CONTINUE WHEN NOT pg_try_advisory_xact_lock(${USER}, hashtext(v_it.usr));
         CONTINUE WHEN NOT pg_try_advisory_xact_lock(${ROOM}, hashtext(v_it.room));
         CONTINUE WHEN NOT EXISTS (SELECT FROM "_pylon_room_members" WHERE room = v_it.room AND usr = v_it.usr AND due_at <= v_now);
         PERFORM @remove(v_it.room, v_it.usr, '');
         v_work := v_work + 1;
       END LOOP;
       RETURN v_work >= p_most;
     END`,
    ],

    /** @returns whether there is more to do: call it again */
    retire: [
      "p_replica TEXT, p_hand_over DOUBLE PRECISION, p_most INT",
      "BOOLEAN",
      `DECLARE
       v_usr TEXT;
       v_will TEXT;
     BEGIN
       PERFORM @begin('', '', '');
       PERFORM pg_advisory_xact_lock(${REPLICA}, hashtext(p_replica));
       FOR v_usr IN SELECT usr FROM (
           SELECT usr FROM "_pylon_room_connections" WHERE replica = p_replica UNION SELECT usr FROM "_pylon_room_members" WHERE holder = p_replica
         ) mine ORDER BY hashtext(usr) LIMIT p_most LOOP
         PERFORM pg_advisory_xact_lock(${USER}, hashtext(v_usr));
         DELETE FROM "_pylon_room_connections" WHERE usr = v_usr AND replica = p_replica RETURNING will INTO v_will;
         IF FOUND AND NOT EXISTS (SELECT FROM "_pylon_room_connections" WHERE usr = v_usr) THEN
           PERFORM @let_go(v_usr, clock_timestamp() + p_hand_over * interval '1 millisecond', v_will, '');
         END IF;
         UPDATE "_pylon_room_members" SET holder = NULL WHERE usr = v_usr AND holder = p_replica;
       END LOOP;
       IF EXISTS (SELECT FROM "_pylon_room_connections" WHERE replica = p_replica) OR EXISTS (SELECT FROM "_pylon_room_members" WHERE holder = p_replica) THEN
         RETURN true;
       END IF;
       DELETE FROM "_pylon_room_replicas" WHERE id = p_replica;
       RETURN false;
     END`,
    ],
  };

/**
 * In the functions' names: replicas of two versions on one database each have their own. Those of
 * earlier versions stay: who still calls them is not known.
 */
const VERSION = hash("sha256", JSON.stringify([FUNCTIONS]), "hex").slice(0, 8);

/** The quoted name of a function. */
export function roomFunction(name: string): string {
  if (!(name in FUNCTIONS)) throw new Error(`There is no function "${name}" of the rooms.`);
  return `"_pylon_room_${name}_${VERSION}"`;
}

/**
 * Each statement may be run again. Tables are only ever added to: they are shared by the functions
 * of all versions.
 */
export const ROOM_DDL: readonly string[] = [
  ...TABLES,
  ...Object.entries(FUNCTIONS).map(
    ([name, [args, returns, body]]) =>
      `CREATE OR REPLACE FUNCTION ${roomFunction(name)}(${args}) RETURNS ${returns} LANGUAGE plpgsql VOLATILE AS $$ ${body.replaceAll(/@(\w+)/g, (_, other: string) => roomFunction(other))} $$`,
  ),
];

/** The name of the channel on which everything is said. */
export const CHANNEL_QUERY = `SELECT ${roomFunction("channel")}() AS channel`;
/** The texts of long messages. */
export const MESSAGES_QUERY = `SELECT id::text AS id, text FROM "_pylon_messages" WHERE id = ANY($1::bigint[])`;
