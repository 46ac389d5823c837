-- Opens, keeps alive or ends a session. KEYS: 2 sessions. ARGV: 2 which of the three  3 session  4 microseconds.
-- Answers whether the session lives, or 2 if it has ended and cannot be opened again.
local deadline = call('ZSCORE', KEYS[2], ARGV[3])
local lives = deadline and tonumber(deadline) > time
if ARGV[2] == 'end' then
  if deadline then call('ZADD', KEYS[2], 0, ARGV[3]) end
  return 0
end
if ARGV[2] == 'open' and deadline and not lives then return 2 end
if ARGV[2] == 'keep' and not lives then return 0 end
call('ZADD', KEYS[2], time + tonumber(ARGV[4]), ARGV[3])
keep()
return 1
