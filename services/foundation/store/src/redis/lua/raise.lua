-- Raises a fence's floor: from here on no smaller token is accepted in this shard. KEYS: 1 floors. ARGV: 1 fence  2 token.
local floor = redis.call('HGET', KEYS[1], ARGV[1])
if not floor or struct.unpack('>I8', floor) < struct.unpack('>I8', ARGV[2]) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 0
