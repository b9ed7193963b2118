-- replica, hand over ms, limit -> 1 if there is more to do: call it again
local replica, limit = ARGV[1], tonumber(ARGV[3])
for _, user in ipairs(call('SPOP', P .. 'users:' .. replica, limit)) do
  local will = call('HGET', P .. 'conn:' .. user, replica)
  call('HDEL', P .. 'conn:' .. user, replica)
  if call('EXISTS', P .. 'conn:' .. user) == 0 then
    call('ZADD', P .. 'gone', now + ARGV[2], user)
    if will then call('HSET', P .. 'wills', user, will) end
  end
end
for _, key in ipairs(call('SPOP', P .. 'calls:' .. replica, limit)) do
  call('HDEL', P .. 'holders', key)
end
if call('EXISTS', P .. 'users:' .. replica, P .. 'calls:' .. replica) > 0 then return 1 end
call('ZREM', P .. 'replicas', replica)
return 0
