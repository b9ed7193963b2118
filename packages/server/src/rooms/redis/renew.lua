-- replica, lease ms -> 0 if the lease had expired and was removed
if is_swept(ARGV[1]) then return 0 end
call('ZADD', P .. 'replicas', now + ARGV[2], ARGV[1])
return 1
