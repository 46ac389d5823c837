-- One step of turning a generation over: one part, as one entry.
-- KEYS: 9 the part  10 where parts are known  11 to 74 the records. ARGV: 2 id  3 channel of hints  4 the part's number.
-- Answers {0, revision} after the last part, {2, what is left} before; {3} if it is not this part's turn.
if turning == '' then return { 3 } end
local id, part, parts, generation, front = unpack_bytes('>c16I4I4I2c0I2c0', turning)
if id ~= ARGV[2] or part ~= tonumber(ARGV[4]) then return { 3 } end
local tenant = string.sub(generation, 1, -9)
local staged = call('GET', KEYS[9])
local revision = next_revision()
local version, moment = pack('>I8', revision), pack('>I8', time)
local entry, size = { 0, 0, 0, 0 }, 0
local changes, at = pack('>I4', 0), 1
if staged then changes, at = unpack_bytes('>I4c0', staged, 1) end
while staged and at <= #staged do
  local what, field
  what, field, at = unpack_bytes('>BI2c0', staged, at)
  local key = KEYS[11 + string.byte(field)]
  local before = call('HGET', key, field)
  if before then unhang(before, field, tenant) end
  if what == 0 then
    if before then
      call('HDEL', key, field)
      records = records - 1
    end
  else
    local value
    value, at = unpack_bytes('>I4c0', staged, at)
    call('HSET', key, field, version .. id .. moment .. PLAIN .. value)
    if not before then records = records + 1 end
    entry[#entry + 1] = 'v'
    entry[#entry + 1] = value
    size = size + #value
  end
end
append(revision, id, id .. (part + 1 < parts and '\1' or '\0') .. front .. changes, entry, size)
call('ZREM', KEYS[10], generation .. pack('>I4', part))
call('UNLINK', KEYS[9])
if part + 1 < parts then
  turning = pack('>c16I4I4I2c0I2c0', id, part + 1, parts, #generation, generation, #front, front)
  keep()
  return { 2, turning }
end
turning = ''
remember(id, revision)
keep()
call('SPUBLISH', ARGV[3], '')
return { 0, version }
