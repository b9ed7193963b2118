-- replica, user, will -> [room, record, ...] of the user
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
return found
