-- replica, room, user or '' for the admin, idle ms
-- -> [user, record, ...], or nothing if the user is not a member
local replica, room, user = ARGV[1], ARGV[2], ARGV[3]
if is_swept(replica) then return SWEPT end
if user ~= '' then
  if call('HEXISTS', P .. 'room:' .. room, user) == 0 then return false end
  touch(room, user, replica, ARGV[4])
end
return call('HGETALL', P .. 'room:' .. room)
