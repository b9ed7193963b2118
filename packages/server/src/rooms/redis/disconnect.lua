-- replica, user, will or '' for none, grace ms -> 1 if it was the user's last connection
local replica, user = ARGV[1], ARGV[2]
call('SREM', P .. 'users:' .. replica, user)
if call('HDEL', P .. 'conn:' .. user, replica) == 0 then return 0 end
if call('EXISTS', P .. 'conn:' .. user) == 1 then return 0 end
publish_will(ARGV[3])
if call('EXISTS', P .. 'of:' .. user) == 1 then call('ZADD', P .. 'gone', now + ARGV[4], user) end
return 1
