-- A commit: all of its writes or none.
-- ARGV: 2 id  3 channel of hints  4 '1' if a retry must write  5 the tenant, as the front of its keys
--   6 tenant and trace, as an entry has them  7 count and changes, as an entry has them
--   8 a generation to turn over, or ''  9 its parts  10 the index of KEYS where its parts are known
--   11 12 13 the numbers of records looked at, of preconditions and of writes, which follow:
--   records (index of KEYS, field), preconditions (kind, which, with what), writes (kind, which, value, until).
-- Answers {0, revision}, {1, precondition, version found}, {2, the generation that is being turned over}.
local id, tenant = ARGV[2], ARGV[5]
if turning ~= '' then return { 2, turning } end

local function done(revision)
  -- A connection's WAIT counts from its own last write.
  if ARGV[4] == '1' then call('SET', KEYS[1], state) end
  return { 0, revision }
end
local known = call('HGET', KEYS[3 + ids_current], id) or call('HGET', KEYS[4 - ids_current], id)
if known then return done(known) end

local looked, conditions, writes = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local key, field, found = {}, {}, {}
local at = 13
for i = 1, looked do
  key[i], field[i] = KEYS[tonumber(ARGV[at + 1])], ARGV[at + 2]
  found[i] = call('HGET', key[i], field[i])
  at = at + 2
end
local first_write = at + 3 * conditions
for w = first_write, first_write + 4 * (writes - 1), 4 do
  local record = found[tonumber(ARGV[w + 2])]
  if record and string.sub(record, 9, 24) == id then return done(string.sub(record, 1, 8)) end
end

local alive = {}
local function lives(session)
  if alive[session] == nil then
    local deadline = call('ZSCORE', KEYS[7], tenant .. session)
    alive[session] = deadline and tonumber(deadline) > time or false
  end
  return alive[session]
end

local function is_current(record, token)
  if not record or string.sub(record, 33, 40) ~= token or token == string.sub(PLAIN, 1, 8) then return false end
  local kind = string.byte(record, 41)
  if kind == 1 then return unpack_bytes('>I8', record, 42) > time end
  return kind == 0 or lives(string.sub(record, 42, 57))
end

local raised = {}
for i = 0, conditions - 1 do
  local kind, which, with = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  at = at + 3
  if kind == 'F' then
    -- The fence's own shard was asked before: `with` is token, found there, and whether it is held. Here it must not
    -- be below what another writer raised, and from here on it is what others must not be below.
    local name, floor_key = string.sub(with, 18), KEYS[tonumber(which)]
    if string.byte(with, 17) == 0 then return { 1, i, string.sub(with, 9, 16) } end
    local floor = call('HGET', floor_key, name)
    local token = unpack_bytes('>I8', with)
    if floor and unpack_bytes('>I8', floor) > token then return { 1, i, floor } end
    if not floor or unpack_bytes('>I8', floor) < token then raised[#raised + 1] = { floor_key, name, string.sub(with, 1, 8) } end
  elseif kind == 'S' then
    if not lives(with) then return { 1, i, '' } end
  else
    local record = found[tonumber(which)]
    local holds
    if kind == 'A' then
      holds = not record
    elseif kind == 'V' then
      holds = record and string.sub(record, 1, 8) == with
    else
      holds = is_current(record, with)
    end
    if not holds then return { 1, i, record and string.sub(record, 1, 8) or '' } end
  end
end
for w = first_write, first_write + 4 * (writes - 1), 4 do
  if ARGV[w + 1] == 'H' and not lives(ARGV[w + 4]) then return { 1, conditions, '' } end
end
local parts = tonumber(ARGV[9])
if ARGV[8] ~= '' then
  for from = 0, parts - 1, 1000 do
    local members = {}
    for part = from, math.min(from + 999, parts - 1) do members[#members + 1] = ARGV[8] .. pack('>I4', part) end
    for _, staged in ipairs(call('ZMSCORE', KEYS[tonumber(ARGV[10])], unpack(members))) do
      if not staged then return { 1, conditions, '' } end
    end
  end
end

local revision = next_revision()
if revision + (parts or 0) >= END then
  return redis.error_reply('NOREVISION the revisions of this shard are used up; export the tenant to a new cell')
end
for _, floor in ipairs(raised) do call('HSET', unpack(floor)) end
if writes > 0 then
  local version, moment = pack('>I8', revision), pack('>I8', time)
  local entry, size, tokens = { 0, 0, 0, 0 }, 0, ''
  for w = first_write, first_write + 4 * (writes - 1), 4 do
    local what, i, value, till = ARGV[w + 1], tonumber(ARGV[w + 2]), ARGV[w + 3], ARGV[w + 4]
    local before = found[i]
    if what == 'D' then
      if before then
        unhang(before, field[i], tenant)
        call('HDEL', key[i], field[i])
        records = records - 1
      end
    else
      local tail = PLAIN
      if what == 'C' then
        local deadline = time + tonumber(till)
        tail = version .. '\1' .. pack('>I8', deadline)
        call('ZADD', KEYS[6], deadline, field[i])
      elseif what == 'H' then
        tail = version .. '\2' .. till
      elseif what == 'U' then
        if before then tail = tail_of(before) end
        tokens = tokens .. string.sub(tail, 1, 8)
      end
      if not before then
        records = records + 1
      elseif what ~= 'U' and not (what == 'C' and string.byte(before, 41) == 1) then
        unhang(before, field[i], tenant)
      end
      if what == 'H' then call('ZADD', KEYS[8], 0, tenant .. till .. field[i]) end
      call('HSET', key[i], field[i], version .. id .. moment .. tail .. value)
      entry[#entry + 1] = 'v'
      entry[#entry + 1] = value
      size = size + #value
    end
  end
  if tokens ~= '' then
    entry[#entry + 1] = 't'
    entry[#entry + 1] = tokens
  end
  append(revision, id, id .. (ARGV[8] == '' and '\0' or '\1') .. ARGV[6] .. ARGV[7], entry, size)
end
if ARGV[8] ~= '' then
  -- From here on it happens: whoever meets it goes on with it.
  turning = pack('>c16I4I4I2c0I2c0', id, 0, parts, #ARGV[8], ARGV[8], #ARGV[6], ARGV[6])
  keep()
  return { 2, turning }
end
remember(id, revision)
keep()
call('SPUBLISH', ARGV[3], '')
return { 0, pack('>I8', revision) }
