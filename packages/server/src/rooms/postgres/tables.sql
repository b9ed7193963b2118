-- The tables of the rooms. They are UNLOGGED: nothing in them is durable, and after a crash of
-- Postgres they are empty. The functions of all versions share them, so they are only ever
-- extended. Each statement may be run again.
--
-- Names of rooms and users (`usr`) are stored as they appear inside a JSON string: so they may
-- contain any character, and are inserted into messages unchanged.

CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_rooms" (
  name TEXT COLLATE "C" PRIMARY KEY,
  members INT NOT NULL
);

-- `due_at`: when a member that depends on its calls expires; `holder`: the replica of the last one.
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

-- The connections of users to replicas; `will`: sent when the user turns out to be gone.
CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_room_connections" (
  usr TEXT COLLATE "C",
  replica TEXT COLLATE "C",
  will TEXT NOT NULL,
  PRIMARY KEY (usr, replica)
);
CREATE INDEX IF NOT EXISTS "_pylon_room_connections_replica" ON "_pylon_room_connections" (replica);

-- Users without a connection, with the end of their grace period, the message that is sent then,
-- and the replica whose lease expired, or ''.
CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_room_leavers" (
  usr TEXT COLLATE "C" PRIMARY KEY,
  gone_at TIMESTAMPTZ NOT NULL,
  will TEXT,
  swept TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS "_pylon_room_leavers_gone" ON "_pylon_room_leavers" (gone_at);

-- The replicas, with the end of their leases.
CREATE UNLOGGED TABLE IF NOT EXISTS "_pylon_room_replicas" (
  id TEXT COLLATE "C" PRIMARY KEY,
  ends_at TIMESTAMPTZ NOT NULL,
  reprieved_at TIMESTAMPTZ
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS "_pylon_room_replicas_ends" ON "_pylon_room_replicas" (ends_at);
