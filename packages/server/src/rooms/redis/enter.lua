-- replica, lease ms, grace ms, '1' after a loss, else '0' -> 1 if the lease was still valid
local score = call('ZSCORE', P .. 'replicas', ARGV[1])
call('ZADD', P .. 'replicas', now + ARGV[2], ARGV[1])
-- Redis itself was unavailable: nothing could be renewed, so everything is extended a little. Not
-- repeatedly.
if ARGV[4] == '1' and call('SET', P .. 'reprieve', '1', 'PX', 10000, 'NX') then
  for _, replica in ipairs(call('ZRANGEBYSCORE', P .. 'replicas', '-inf', now)) do
    call('ZADD', P .. 'replicas', now + ARGV[2], replica)
  end
  for _, name in ipairs({ 'due', 'gone' }) do
    for _, key in ipairs(call('ZRANGEBYSCORE', P .. name, '-inf', now + ARGV[3])) do
      call('ZADD', P .. name, now + ARGV[3], key)
    end
  end
end
return score and tonumber(score) > now and 1 or 0
