-- replica, room, user or '' for the admin, text, idle ms -> 'sent', 'room_empty', 'not_in_room'
local replica, room, user = ARGV[1], ARGV[2], ARGV[3]
if is_swept(replica) then return SWEPT end
if user ~= '' then
  if call('HEXISTS', P .. 'room:' .. room, user) == 0 then return 'not_in_room' end
  touch(room, user, replica, ARGV[5])
elseif call('EXISTS', P .. 'room:' .. room) == 0 then
  return 'room_empty'
end
publish({ 'broadcast', room, '' }, ARGV[4])
return 'sent'
