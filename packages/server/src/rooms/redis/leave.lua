-- room, user -> 1 when the user was there
return remove(ARGV[1], ARGV[2], '')
