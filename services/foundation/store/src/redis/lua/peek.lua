-- What a sweep has to do, so that a shard with nothing due costs little.
-- KEYS: 2 deadlines  3 sessions  4 where staged parts are known. ARGV: 2 how long parts are kept.
-- Answers {whether anything is due, the generation that is being turned over, staged parts that are too old...}.
if not state then return { 0, '' } end
local function any(key) return #call('ZRANGEBYSCORE', key, '-inf', time, 'LIMIT', 0, 1) > 0 end
local answer = { (any(KEYS[2]) or any(KEYS[3])) and 1 or 0, turning }
local too_old = call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. string.format('%.0f', time - tonumber(ARGV[2])), 'LIMIT', 0, 64)
for _, member in ipairs(too_old) do answer[#answer + 1] = member end
-- Each step moves shard time by 2 s at most, so it is kept before that is reached, but not at each look.
if now - stored_wall >= 1000000 or now < stored_wall then keep() end
return answer
