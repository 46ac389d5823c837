-- Puts a part of a generation aside. KEYS: 2 the part  3 where parts are known. ARGV: 2 generation  3 its part  4 writes.
-- Answers {0}, or {2, the generation} if it is this one that is being turned over.
if turning ~= '' then
  local _, _, _, generation = unpack_bytes('>c16I4I4I2c0', turning)
  if generation == ARGV[2] then return { 2, turning } end
end
call('SET', KEYS[2], ARGV[4])
call('ZADD', KEYS[3], time, ARGV[2] .. ARGV[3])
keep()
return { 0 }
