-- What every script on a shard begins with: its state, shard time moved on, and how an entry enters the log.
-- KEYS[1] is the shard's state. Scripts that write to the log have all eight of its fixed keys:
--   1 state  2 log  3 4 commit ids (two generations)  5 chunks of the log  6 deadlines  7 sessions  8 what hangs on them
-- ARGV[1] is the time in microseconds since 1970; '': the server's own.
-- Numbers stay below 2^53, which is what a Lua number counts by ones.

local call, pack, unpack_bytes = redis.call, struct.pack, struct.unpack
local STATE = '>I8I8I8I8I8I8I8I8I8I8I8I8I8I8I8I8I8I8c16'
local CHUNK = '>I8I8I8I8'
local END = 9007199254740992
local STEP = 2000000
local LOG_AGE, LOG_BYTES = 900000000, 33554432
-- The log is cut by chunks: a chunk ends when it holds this many bytes, or spans this much shard time.
local CHUNK_BYTES, CHUNK_SPAN = 262144, 10000000
-- How many chunks that are merely old one commit cuts: after a long idle time none pays for all of them.
local CUT_MAX = 16
-- How many commit ids one generation of them holds: more than the log holds entries.
local IDS_MAX = 262144
-- What an entry costs in the log beside its bytes, about.
local ENTRY = 64

local now
if ARGV[1] == '' then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
else
  now = math.min(tonumber(ARGV[1]), END - 1)
end

-- The last revision; shard time and the clock when it was moved; bytes and entries of the log, and the newest
-- revision that was cut from it; the open chunk's bytes, entries, first time, and the last entry's time; the oldest
-- closed chunk's last revision (0: none), last time, bytes, entries; since when the current generation of commit ids
-- is, how many it has, and which of the two it is; records in all; the last commit's id.
local rev, time, wall, bytes, entries, cut = 0, 0, 0, 0, 0, 0
local open_bytes, open_entries, open_at, last_at = 0, 0, 0, 0
local old_rev, old_at, old_bytes, old_entries = 0, 0, 0, 0
local ids_since, ids_count, ids_current, records = 0, 0, 0, 0
local last = string.rep('\0', 16)
-- A generation that is being turned over, if there is one.
local turning = ''
local state = call('GET', KEYS[1])
if state then
  rev, time, wall, bytes, entries, cut, open_bytes, open_entries, open_at, last_at, old_rev, old_at, old_bytes,
    old_entries, ids_since, ids_count, ids_current, records, last = unpack_bytes(STATE, state)
  turning = string.sub(state, 161)
end
local stored_wall, wall_before = wall, wall
if time == 0 then
  time = now
elseif now > wall then
  time = time + math.min(now - wall, STEP)
end
wall = now

local function keep()
  call('SET', KEYS[1], pack(STATE, rev, time, wall, bytes, entries, cut, open_bytes, open_entries, open_at, last_at,
    old_rev, old_at, old_bytes, old_entries, ids_since, ids_count, ids_current, records, last) .. turning)
end

-- The clock's, or a later one while the clock is behind. Counting by one then would give one revision to different
-- entries of two histories that part there, and nobody could tell them apart. So it goes on by half of what the clock
-- did, which still lets the clock catch up, or, where the clock went back, by its last digits; never by so much that
-- revisions run out. The embedded store's `following` is the same.
local function next_revision()
  -- A clock that is beyond all revisions must not use them up.
  local clock = now < END - 1 and now or 0
  if clock > rev then return clock end
  local leap = clock < wall_before and clock % 1048576 or math.floor((clock - wall_before) / 2)
  return rev + 1 + math.min(leap, math.floor((END - rev) / 1024))
end

local function close_chunk()
  if old_rev == 0 then
    old_rev, old_at, old_bytes, old_entries = rev, last_at, open_bytes, open_entries
  else
    call('RPUSH', KEYS[5], pack(CHUNK, rev, last_at, open_bytes, open_entries))
  end
  open_bytes, open_entries = 0, 0
end

-- Cuts the log by age and bytes, but never the entry `before` the new one: it is what every follower of an idle
-- shard saw last.
local function cut_log(before)
  local young, aged = time - LOG_AGE, 0
  while old_rev > 0 and old_rev < before do
    if bytes <= LOG_BYTES then
      if old_at >= young or aged == CUT_MAX then break end
      aged = aged + 1
    end
    call('XTRIM', KEYS[2], 'MINID', string.format('%.0f', old_rev + 1))
    cut, bytes, entries = old_rev, bytes - old_bytes, entries - old_entries
    local chunk = call('LPOP', KEYS[5])
    if chunk then
      old_rev, old_at, old_bytes, old_entries = unpack_bytes(CHUNK, chunk)
    else
      old_rev = 0
    end
  end
end

-- Appends an entry at `revision`. `entry` is the XADD's arguments from the fifth on: the values; `head` is what lies
-- before the changes, and `size` the bytes of the values.
local function append(revision, commit, head, entry, size)
  if open_entries > 0 and (open_bytes >= CHUNK_BYTES or time - open_at > CHUNK_SPAN) then close_chunk() end
  entry[1], entry[2], entry[3] = KEYS[2], string.format('%.0f-0', revision), 'm'
  entry[4] = pack('>I8', time) .. head
  call('XADD', unpack(entry))
  local before = rev
  size = size + #head + ENTRY
  if open_entries == 0 then open_at = time end
  open_bytes, open_entries = open_bytes + size, open_entries + 1
  bytes, entries = bytes + size, entries + 1
  rev, last, last_at, wall_before = revision, commit, time, wall
  cut_log(before)
end

-- Remembers a commit's id in two generations: known for as long as its entry is in the log, and at least as long as
-- the log's age, unless there were more than IDS_MAX commits since.
local function remember(commit, revision)
  if ids_count >= IDS_MAX or time - ids_since > LOG_AGE then
    ids_current = 1 - ids_current
    ids_since, ids_count = time, 0
    call('UNLINK', KEYS[3 + ids_current])
  end
  ids_count = ids_count + 1
  call('HSET', KEYS[3 + ids_current], commit, pack('>I8', revision))
end

-- A record's value is: version (8), commit (16), time (8), token (8), how it ends (1) with a deadline (8) or a
-- session (16), and what it is.
local PLAIN = string.rep('\0', 9)

-- The bytes of a record that say its token and end.
local function tail_of(record)
  local kind = string.byte(record, 41)
  return string.sub(record, 33, kind == 0 and 41 or (kind == 1 and 49 or 57))
end

-- Takes a record off what it ends by. `tenant` is the front of its sessions.
local function unhang(record, field, tenant)
  local kind = string.byte(record, 41)
  if kind == 1 then
    call('ZREM', KEYS[6], field)
  elseif kind == 2 then
    call('ZREM', KEYS[8], tenant .. string.sub(record, 42, 57) .. field)
  end
end
