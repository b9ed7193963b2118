-- The tables of the rooms. They are UNLOGGED: nothing in them is durable, and after a crash of
-- Postgres they are empty. They are shared by the functions of all versions, so they are only ever
-- added to. Each statement may be run again.
--
-- Names of rooms and users (`usr`) are as they stand between the quotes of a JSON string: so they
-- may have any character, and messages are made of them as they are.

CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_rooms" (
  name TEXT COLLATE "C" PRIMARY KEY,
  members INT NOT NULL
);

-- `due_at`: the end of a member that depends on its calls; `holder`: the replica of the last one.
CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_room_members" (
  room TEXT COLLATE "C",
  usr TEXT COLLATE "C",
  data TEXT NOT NULL,
  joined_at BIGINT NOT NULL,
  due_at TIMESTAMPTZ,
  holder TEXT COLLATE "C",
  PRIMARY KEY (room, usr)
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS "_pylon_room_members_usr" ON "_pylon_room_members" (usr);
CREATE INDEX IF NOT EXISTS "_pylon_room_members_due"
  ON "_pylon_room_members" (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS "_pylon_room_members_holder"
  ON "_pylon_room_members" (holder) WHERE holder IS NOT NULL;

-- Who is connected to which replica; `will`: what is sent when the user turns out to be gone.
CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_room_connections" (
  usr TEXT COLLATE "C",
  replica TEXT COLLATE "C",
  will TEXT NOT NULL,
  PRIMARY KEY (usr, replica)
);
CREATE INDEX IF NOT EXISTS "_pylon_room_connections_replica" ON "_pylon_room_connections" (replica);

-- Users without a connection until the end of their grace, what is sent at that end, and the
-- replica whose lease ran out, or ''.
CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_room_leavers" (
  usr TEXT COLLATE "C" PRIMARY KEY,
  gone_at TIMESTAMPTZ NOT NULL,
  will TEXT,
  swept TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS "_pylon_room_leavers_gone" ON "_pylon_room_leavers" (gone_at);

-- The replicas by the end of their lease.
CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_room_replicas" (
  id TEXT COLLATE "C" PRIMARY KEY,
  ends_at TIMESTAMPTZ NOT NULL,
  reprieved_at TIMESTAMPTZ
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS "_pylon_room_replicas_ends" ON "_pylon_room_replicas" (ends_at);
