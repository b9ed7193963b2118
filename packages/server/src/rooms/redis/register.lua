-- replica, room, user, data, joined at, join text, presence text, ms without a connection
-- Registers a member as its replica knows it. A missing one joins; other data is sent as presence.
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
return 1
