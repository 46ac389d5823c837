-- One step of expiry: at most 128 records that are due, one entry a tenant.
-- KEYS: 9 to 72 the records. ARGV: 2 twelve bytes from chance, which name the entries  3 channel of hints.
-- Answers {0, how many}, or {2, the generation that is being turned over}.
local MAX = 128
if turning ~= '' then return { 2, turning } end
if not state then return { 0, 0 } end
local due = call('ZRANGEBYSCORE', KEYS[6], '-inf', time, 'LIMIT', 0, MAX)
for _, session in ipairs(call('ZRANGEBYSCORE', KEYS[7], '-inf', time, 'LIMIT', 0, MAX)) do
  local room = MAX - #due
  local hanging = {}
  if room > 0 then
    hanging = call('ZRANGEBYLEX', KEYS[8], '[' .. session, '(' .. session .. '\255', 'LIMIT', 0, room)
  end
  if #hanging < room then call('ZREM', KEYS[7], session) end
  for _, member in ipairs(hanging) do due[#due + 1] = string.sub(member, #session + 1) end
end
if #due == 0 then return { 0, 0 } end

-- Field: the number of the hash (1), the tenant's name, a zero, its incarnation (16), kind (1), key.
local tenants, of, swept = {}, {}, 0
for _, field in ipairs(due) do
  local key = KEYS[9 + string.byte(field)]
  local record = call('HGET', key, field)
  if record then
    local front = string.find(field, '\0', 2, true) + 16
    local tenant, name = string.sub(field, 2, front), string.sub(field, front + 1)
    unhang(record, field, tenant)
    call('HDEL', key, field)
    records, swept = records - 1, swept + 1
    if not of[tenant] then
      of[tenant] = {}
      tenants[#tenants + 1] = tenant
    end
    table.insert(of[tenant], pack('>BI2', 0, #name) .. name)
  else
    -- Nothing is there: what it ended by is left over.
    call('ZREM', KEYS[6], field)
  end
end
for i, tenant in ipairs(tenants) do
  local id = ARGV[2] .. pack('>I4', i)
  local front = pack('>I2', #tenant) .. tenant .. pack('>I2', 0)
  local changes = pack('>I4', #of[tenant]) .. table.concat(of[tenant])
  append(next_revision(), id, id .. '\0' .. front .. changes, { 0, 0, 0, 0 }, 0)
end
keep()
if swept > 0 then call('SPUBLISH', ARGV[3], '') end
return { 0, swept }
