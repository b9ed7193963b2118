-- The beginning of every script of the rooms. `P` is the prefix of all keys and of the channel,
-- `<namespace>:rooms:`, which the loader puts before this text (scripts.ts). Parts with the same
-- name in postgres/helpers.sql do the same.
--
-- Each script is one atomic change, timed by the clock of Redis. It publishes its messages while it
-- runs, so all replicas receive the changes in the order in which they were made. Data of users is
-- never parsed here, because cjson would change it.
--
-- Keys:
-- - `sizes`: hash, room -> members
-- - `room:R`: hash, user -> `<joined at> <data>`
-- - `of:U`: set, the user's rooms
-- - `conn:U`: hash, replica the user is connected to -> the user's will
-- - `gone`: sorted set, users without a connection by the end of their grace period; `wills`: hash,
--   the message that is sent then
-- - `due`: sorted set, members without a connection by their end; `holders`: hash, such a member ->
--   the replica of its last call
-- - `replicas`: sorted set, replicas by the end of their lease; `users:N`, `calls:N`: sets, the
--   users and members that depend on it

local call = redis.call
local time = call('TIME')
local seconds = time[1]
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function publish(header, text)
  call('PUBLISH', P .. 'events', cjson.encode(header) .. '\n' .. text)
end

local function member_key(room, user)
  return #room .. ':' .. room .. user
end

local function split(key)
  local colon = string.find(key, ':', 1, true)
  local size = tonumber(string.sub(key, 1, colon - 1))
  return string.sub(key, colon + 1, colon + size), string.sub(key, colon + size + 1)
end

local function is_swept(replica)
  return not call('ZSCORE', P .. 'replicas', replica)
end

local SWEPT = { err = 'SWEPT this replica has no lease' }

-- Makes the member independent of calls.
local function untouch(room, user)
  local key = member_key(room, user)
  call('ZREM', P .. 'due', key)
  local holder = call('HGET', P .. 'holders', key)
  if holder then
    call('SREM', P .. 'calls:' .. holder, key)
    call('HDEL', P .. 'holders', key)
  end
end

-- Records a call of the member, which extends its stay if it has no connection.
local function touch(room, user, replica, ms)
  if call('EXISTS', P .. 'conn:' .. user) == 1 then return end
  untouch(room, user)
  local key = member_key(room, user)
  call('ZADD', P .. 'due', now + ms, key)
  call('HSET', P .. 'holders', key, replica)
  call('SADD', P .. 'calls:' .. replica, key)
end

local function add(room, user, record)
  call('HSET', P .. 'room:' .. room, user, record)
  call('HINCRBY', P .. 'sizes', room, 1)
  call('SADD', P .. 'of:' .. user, room)
end

local function joined_at(record)
  return string.sub(record, 1, string.find(record, ' ', 1, true) - 1)
end

-- swept: the replica whose lease expired, or ''
local function remove(room, user, swept)
  if call('HDEL', P .. 'room:' .. room, user) == 0 then return 0 end
  untouch(room, user)
  call('SREM', P .. 'of:' .. user, room)
  if call('HINCRBY', P .. 'sizes', room, -1) <= 0 then call('HDEL', P .. 'sizes', room) end
  publish(
    { 'leave', room, user, swept },
    '{"type":"leave","room":' .. cjson.encode(room) .. ',"user_id":' .. cjson.encode(user) .. '}'
  )
  return 1
end

-- Removes the memberships that no call has renewed since the last connection closed.
local function remove_user(user, swept)
  local count = 0
  for _, room in ipairs(call('SMEMBERS', P .. 'of:' .. user)) do
    if not call('ZSCORE', P .. 'due', member_key(room, user)) then
      count = count + remove(room, user, swept)
    end
  end
  return count
end

-- A will is published as it is: header and text.
local function publish_will(will)
  if will and will ~= '' then call('PUBLISH', P .. 'events', will) end
end
