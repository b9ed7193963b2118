-- replica, room, user, data, text, idle ms -> 1 if the user is a member
local replica, room, user = ARGV[1], ARGV[2], ARGV[3]
if is_swept(replica) then return SWEPT end
local known = call('HGET', P .. 'room:' .. room, user)
if not known then return 0 end
call('HSET', P .. 'room:' .. room, user, joined_at(known) .. ' ' .. ARGV[4])
touch(room, user, replica, ARGV[6])
publish({ 'presence', room, user, replica, joined_at(known) }, ARGV[5])
return 1
