-- room, user -> 1 if the user was a member
return remove(ARGV[1], ARGV[2], '')
