-- Forgets staged parts. KEYS: 2 where parts are known  3... the parts. ARGV: 2 how long they are kept  3... the parts.
if turning ~= '' then return 0 end
for i = 3, #KEYS do
  local since = call('ZSCORE', KEYS[2], ARGV[i])
  if since and tonumber(since) + tonumber(ARGV[2]) < time then
    call('ZREM', KEYS[2], ARGV[i])
    call('UNLINK', KEYS[i])
  end
end
return 1
