-- One record. KEYS: 2 the record's hash  3 sessions. ARGV: 2 field  3 the tenant, as the front of its sessions.
-- Answers {the generation that is being turned over, whether a claim of it is held now, the record}.
local record = call('HGET', KEYS[2], ARGV[2])
if not record then return { turning, 0 } end
local kind, held = string.byte(record, 41), 1
if kind == 1 then
  held = unpack_bytes('>I8', record, 42) > time and 1 or 0
elseif kind == 2 then
  local deadline = call('ZSCORE', KEYS[3], ARGV[3] .. string.sub(record, 42, 57))
  held = deadline and tonumber(deadline) > time and 1 or 0
end
return { turning, held, record }
