-- limit -> the number of removed members, or -1 if there may be more
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
  if call('EXISTS', P .. 'users:' .. replica, P .. 'calls:' .. replica) == 0 then
    call('ZREM', P .. 'replicas', replica)
  end
end
return work >= limit and -1 or count
