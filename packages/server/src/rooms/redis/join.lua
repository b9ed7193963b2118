-- replica, room, user, data, text, idle ms, maximum of rooms, maximum of rooms per user
-- -> ['ok', user, record, ...] of the previous members, ['rooms'] or ['rooms_of_user'] if rejected
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
return before
