-- user or '' for all -> [room, size, ...]
if ARGV[1] == '' then return call('HGETALL', P .. 'sizes') end
local found = {}
for _, room in ipairs(call('SMEMBERS', P .. 'of:' .. ARGV[1])) do
  found[#found + 1] = room
  found[#found + 1] = call('HGET', P .. 'sizes', room) or '0'
end
return found
