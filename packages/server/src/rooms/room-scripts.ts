/**
 * The Lua of the rooms. Each script is one change, whole or not at all, timed by Redis' own clock,
 * and tells what it did on the channel while it does it, so all replicas hear the changes in the
 * order in which they were made.
 *
 * A message on the channel is a line of JSON, `[kind, room, user, replica, joined_at]` or
 * `["tenant", tenant, rooms, user, about]`, and then the text that goes out. Data of users is never parsed here: cjson
 * would not give it back as it was.
 *
 * Keys, all below `<namespace>:rooms:`:
 *
 * - `sizes`: hash, room -> members
 * - `room:R`: hash, user -> `<joined at> <data>`
 * - `of:U`: set, the user's rooms
 * - `conn:U`: hash, replica the user is connected to -> the user's will
 * - `gone`: sorted set, users without a connection by the end of their grace; `wills`: hash, what
 *   is to be sent at that end
 * - `due`: sorted set, members without a connection by their end; `holders`: hash, such a member ->
 *   the replica of its last call
 * - `replicas`: sorted set, replicas by the end of their lease; `users:N`, `calls:N`: sets, the
 *   users and members that depend on it
 */
export function channelOf(namespace: string): string {
  return `${namespace}:rooms:events`;
}

const PRELUDE = `
local call = redis.call
local time = call('TIME')
local seconds = time[1]
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function publish(header, text)
  call('PUBLISH', P .. 'events', cjson.encode(header) .. '\\n' .. text)
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

-- The member no longer depends on calls.
local function untouch(room, user)
  local key = member_key(room, user)
  call('ZREM', P .. 'due', key)
  local holder = call('HGET', P .. 'holders', key)
  if holder then
    call('SREM', P .. 'calls:' .. holder, key)
    call('HDEL', P .. 'holders', key)
  end
end

-- The member made a call: without a connection it stays for a while.
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

-- swept: the replica whose lease ran out, or ''
local function remove(room, user, swept)
  if call('HDEL', P .. 'room:' .. room, user) == 0 then return 0 end
  untouch(room, user)
  call('SREM', P .. 'of:' .. user, room)
  if call('HINCRBY', P .. 'sizes', room, -1) <= 0 then call('HDEL', P .. 'sizes', room) end
  publish({ 'leave', room, user, swept }, '{"type":"leave","room":' .. cjson.encode(room) .. ',"user_id":' .. cjson.encode(user) .. '}')
  return 1
end

-- The memberships that no call has renewed since the last connection closed.
local function remove_user(user, swept)
  local count = 0
  for _, room in ipairs(call('SMEMBERS', P .. 'of:' .. user)) do
    if not call('ZSCORE', P .. 'due', member_key(room, user)) then count = count + remove(room, user, swept) end
  end
  return count
end

-- A will is published as it is: header and text.
local function publish_will(will)
  if will and will ~= '' then call('PUBLISH', P .. 'events', will) end
end
`;

const BODIES = {
  /** replica, lease ms, grace ms, isReturning -> 1 when the lease was still good */
  enter: `
    local score = call('ZSCORE', P .. 'replicas', ARGV[1])
    call('ZADD', P .. 'replicas', now + ARGV[2], ARGV[1])
    -- Redis itself was away: nobody could renew anything, so everybody gets a little time. Not again and again.
    if ARGV[4] == '1' and call('SET', P .. 'reprieve', '1', 'PX', 10000, 'NX') then
      for _, replica in ipairs(call('ZRANGEBYSCORE', P .. 'replicas', '-inf', now)) do call('ZADD', P .. 'replicas', now + ARGV[2], replica) end
      for _, name in ipairs({ 'due', 'gone' }) do
        for _, key in ipairs(call('ZRANGEBYSCORE', P .. name, '-inf', now + ARGV[3])) do call('ZADD', P .. name, now + ARGV[3], key) end
      end
    end
    return score and tonumber(score) > now and 1 or 0`,

  /** replica, lease ms -> 0 when the lease had run out and was taken away */
  renew: `
    if is_swept(ARGV[1]) then return 0 end
    call('ZADD', P .. 'replicas', now + ARGV[2], ARGV[1])
    return 1`,

  /**
   * replica, room, user, data, text, idle ms, most rooms, most rooms of a user -> ['ok', user,
   * record, ...] as it was before
   */
  join: `
    local replica, room, user = ARGV[1], ARGV[2], ARGV[3]
    if is_swept(replica) then return SWEPT end
    local before = call('HGETALL', P .. 'room:' .. room)
    local known = call('HGET', P .. 'room:' .. room, user)
    local joined = known and joined_at(known) or seconds
    if known then
      call('HSET', P .. 'room:' .. room, user, joined .. ' ' .. ARGV[4])
    else
      if #before == 0 and call('HLEN', P .. 'sizes') >= tonumber(ARGV[7]) then return { 'rooms' } end
      if call('SCARD', P .. 'of:' .. user) >= tonumber(ARGV[8]) then return { 'rooms_of_user' } end
      add(room, user, joined .. ' ' .. ARGV[4])
    end
    touch(room, user, replica, ARGV[6])
    publish({ 'join', room, user, replica, joined }, ARGV[5])
    table.insert(before, 1, 'ok')
    return before`,

  /** room, user -> 1 when the user was there */
  leave: `return remove(ARGV[1], ARGV[2], '')`,

  /** replica, room, user, data, text, idle ms -> 1 when the user is there */
  presence: `
    local replica, room, user = ARGV[1], ARGV[2], ARGV[3]
    if is_swept(replica) then return SWEPT end
    local known = call('HGET', P .. 'room:' .. room, user)
    if not known then return 0 end
    call('HSET', P .. 'room:' .. room, user, joined_at(known) .. ' ' .. ARGV[4])
    touch(room, user, replica, ARGV[6])
    publish({ 'presence', room, user, replica, joined_at(known) }, ARGV[5])
    return 1`,

  /**
   * replica, room, user or '' for the admin, text, idle ms -> 'sent', 'room_empty', 'not_in_room'
   */
  broadcast: `
    local replica, room, user = ARGV[1], ARGV[2], ARGV[3]
    if is_swept(replica) then return SWEPT end
    if user ~= '' then
      if call('HEXISTS', P .. 'room:' .. room, user) == 0 then return 'not_in_room' end
      touch(room, user, replica, ARGV[5])
    elseif call('EXISTS', P .. 'room:' .. room) == 0 then
      return 'room_empty'
    end
    publish({ 'broadcast', room, '' }, ARGV[4])
    return 'sent'`,

  /**
   * replica, room, user or '' for the admin, idle ms -> [user, record, ...], or nothing when the
   * user is not there
   */
  members: `
    local replica, room, user = ARGV[1], ARGV[2], ARGV[3]
    if is_swept(replica) then return SWEPT end
    if user ~= '' then
      if call('HEXISTS', P .. 'room:' .. room, user) == 0 then return false end
      touch(room, user, replica, ARGV[4])
    end
    return call('HGETALL', P .. 'room:' .. room)`,

  /** user or '' for all -> [room, size, ...] */
  rooms: `
    if ARGV[1] == '' then return call('HGETALL', P .. 'sizes') end
    local found = {}
    for _, room in ipairs(call('SMEMBERS', P .. 'of:' .. ARGV[1])) do
      found[#found + 1] = room
      found[#found + 1] = call('HGET', P .. 'sizes', room) or '0'
    end
    return found`,

  /** replica, user, will -> [room, record, ...] of the user */
  connect: `
    local replica, user = ARGV[1], ARGV[2]
    if is_swept(replica) then return SWEPT end
    call('HSET', P .. 'conn:' .. user, replica, ARGV[3])
    call('SADD', P .. 'users:' .. replica, user)
    call('ZREM', P .. 'gone', user)
    call('HDEL', P .. 'wills', user)
    local found = {}
    for _, room in ipairs(call('SMEMBERS', P .. 'of:' .. user)) do
      untouch(room, user)
      found[#found + 1] = room
      found[#found + 1] = call('HGET', P .. 'room:' .. room, user) or '0 null'
    end
    return found`,

  /** replica, user, will, grace ms */
  disconnect: `
    local replica, user = ARGV[1], ARGV[2]
    call('SREM', P .. 'users:' .. replica, user)
    if call('HDEL', P .. 'conn:' .. user, replica) == 0 or call('EXISTS', P .. 'conn:' .. user) == 1 then return 0 end
    publish_will(ARGV[3])
    if call('EXISTS', P .. 'of:' .. user) == 1 then call('ZADD', P .. 'gone', now + ARGV[4], user) end
    return 1`,

  /**
   * replica, room, user, data, joined at, join text, presence text, ms it may stay without a
   * connection: what a replica knows of its own
   */
  register: `
    local replica, room, user, data = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
    if is_swept(replica) then return SWEPT end
    local known = call('HGET', P .. 'room:' .. room, user)
    if not known then
      add(room, user, ARGV[5] .. ' ' .. data)
      publish({ 'join', room, user, replica, ARGV[5] }, ARGV[6])
    elseif known ~= joined_at(known) .. ' ' .. data then
      call('HSET', P .. 'room:' .. room, user, joined_at(known) .. ' ' .. data)
      publish({ 'presence', room, user, replica, joined_at(known) }, ARGV[7])
    end
    touch(room, user, replica, ARGV[8])
    return 1`,

  /** limit -> how many members were removed, or -1 when there may be more */
  sweep: `
    local count, work, limit = 0, 0, tonumber(ARGV[1])
    for _, key in ipairs(call('ZRANGEBYSCORE', P .. 'due', '-inf', now, 'LIMIT', 0, limit)) do
      local room, user = split(key)
      if remove(room, user, '') == 0 then untouch(room, user) else count = count + 1 end
      work = work + 1
    end
    for _, user in ipairs(call('ZRANGEBYSCORE', P .. 'gone', '-inf', now, 'LIMIT', 0, limit)) do
      call('ZREM', P .. 'gone', user)
      count = count + remove_user(user, '')
      publish_will(call('HGET', P .. 'wills', user))
      call('HDEL', P .. 'wills', user)
      work = work + 1
    end
    for _, replica in ipairs(call('ZRANGEBYSCORE', P .. 'replicas', '-inf', now)) do
      for _, user in ipairs(call('SPOP', P .. 'users:' .. replica, limit)) do
        local will = call('HGET', P .. 'conn:' .. user, replica)
        call('HDEL', P .. 'conn:' .. user, replica)
        if call('EXISTS', P .. 'conn:' .. user) == 0 then
          count = count + remove_user(user, replica)
          publish_will(will)
        end
        work = work + 1
      end
      for _, key in ipairs(call('SPOP', P .. 'calls:' .. replica, limit)) do
        local room, user = split(key)
        count = count + remove(room, user, replica)
        work = work + 1
      end
      if call('EXISTS', P .. 'users:' .. replica, P .. 'calls:' .. replica) == 0 then call('ZREM', P .. 'replicas', replica) end
    end
    return work >= limit and -1 or count`,

  /** replica, hand over ms, limit -> 1 when there is more to do: call it again */
  retire: `
    local replica, limit = ARGV[1], tonumber(ARGV[3])
    for _, user in ipairs(call('SPOP', P .. 'users:' .. replica, limit)) do
      local will = call('HGET', P .. 'conn:' .. user, replica)
      call('HDEL', P .. 'conn:' .. user, replica)
      if call('EXISTS', P .. 'conn:' .. user) == 0 then
        call('ZADD', P .. 'gone', now + ARGV[2], user)
        if will then call('HSET', P .. 'wills', user, will) end
      end
    end
    for _, key in ipairs(call('SPOP', P .. 'calls:' .. replica, limit)) do call('HDEL', P .. 'holders', key) end
    if call('EXISTS', P .. 'users:' .. replica, P .. 'calls:' .. replica) > 0 then return 1 end
    call('ZREM', P .. 'replicas', replica)
    return 0`,
} as const;

export type ScriptName = keyof typeof BODIES;

/**
 * The text of each script, complete.
 *
 * @param namespace letters, digits and `:._-%` only: it stands in the text
 */
export function scriptsOf(namespace: string): ReadonlyMap<ScriptName, string> {
  return new Map(
    Object.entries(BODIES).map(([name, body]) => [
      name as ScriptName,
      `local P = '${namespace}:rooms:'\n${PRELUDE}${body}`,
    ]),
  );
}
