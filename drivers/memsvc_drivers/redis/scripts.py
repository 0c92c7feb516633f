"""The Lua scripts: each a step that is whole or absent.

A script reads all that it needs, which finds keys of a wrong type, before its first write; and its first write is the
head's, which Redis refuses before anything changed when its memory is full, its disk fails or it is a replica. What
follows cannot fail. All keys are declared, so that on a cluster a bucket on the move is refused as a whole.

Bulk reads are no scripts: ten thousand rows took 0.9 s through Lua, which makes every value a string of its own table,
and 20 ms without.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1
from typing import Final

_FIRST_WRITE = """
local function first_write(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    local code = string.match(reply.err, '%-(%u+) ') or string.match(reply.err, '^(%u+) ') or 'ERR'
    return redis.error_reply(code .. ' write refused')
  end
end

local function read_head(key)
  local head = redis.call('GET', key)
  if not head then return nil end
  local seq, nonce, floor, due, erased = string.match(head, '^(%d+) (%S+) (%d+) (%S+) (%d)$')
  return {seq = seq, nonce = nonce, floor = floor, due = due, erased = erased}
end

local function whole(number)
  return string.format('%.0f', number)
end
"""

_BLOCKS = """
-- unpack takes at most some 8,000 values.
local function in_chunks(command, key, list, first, last)
  for from = first, last, 4000 do
    redis.call(command, key, unpack(list, from, math.min(from + 3999, last)))
  end
end

local function places(value, id)
  local position = string.sub(value, 1, 16)
  local gap = string.find(value, ' ', 18, true)
  local length = string.sub(value, 18, gap - 1)
  local group = string.sub(value, gap + 1, gap + tonumber(length))
  return '*' .. position .. id, '=' .. length .. ':' .. group .. position .. id
end

-- Where rows stand now that are put elsewhere or deleted.
local function stale_places(block)
  local ids, found = {}, {}
  for i = 0, block.puts - 1 do ids[#ids + 1] = ARGV[block.at + 2 * i] end
  for i = 0, block.deletes - 1 do ids[#ids + 1] = ARGV[block.deletes_at + i] end
  for from = 1, #ids, 4000 do
    local last = math.min(from + 3999, #ids)
    for i, value in ipairs(redis.call('HMGET', block.rows, unpack(ids, from, last))) do
      if value then
        local row = from + i - 1
        local all, grouped = places(value, ids[row])
        local put_at = block.places_at + 2 * (row - 1)
        if row > block.puts or ARGV[put_at] ~= all or ARGV[put_at + 1] ~= grouped then
          found[#found + 1] = all
          found[#found + 1] = grouped
        end
      end
    end
  end
  return found
end

-- A block is what is to happen to the rows of one kind: whether they are paged, whether an erasure keeps them, how many
-- puts and deletes, then id and value of each put, two places of each put where paged, and the ids of the deletes.
local function read_blocks(key, at, wipe)
  local blocks = {}
  while KEYS[key] do
    local block = {rows = KEYS[key], wipe = wipe and ARGV[at + 1] == '0', puts = tonumber(ARGV[at + 2]),
                   deletes = tonumber(ARGV[at + 3]), at = at + 4}
    redis.call('HLEN', block.rows)
    key = key + 1
    block.places_at = block.at + 2 * block.puts
    block.deletes_at = block.places_at
    if ARGV[at] == '1' then
      block.order = KEYS[key]
      key = key + 1
      redis.call('ZCARD', block.order)
      block.deletes_at = block.places_at + 2 * block.puts
      if not block.wipe then block.stale = stale_places(block) end
    end
    at = block.deletes_at + block.deletes
    blocks[#blocks + 1] = block
  end
  return blocks
end

local function write_blocks(blocks)
  for _, block in ipairs(blocks) do
    if block.wipe then
      redis.call('UNLINK', block.rows)
      if block.order then redis.call('UNLINK', block.order) end
    elseif block.stale then
      in_chunks('ZREM', block.order, block.stale, 1, #block.stale)
    end
    in_chunks('HSET', block.rows, ARGV, block.at, block.places_at - 1)
    if block.order then
      local scored = {}
      for i = block.places_at, block.deletes_at - 1 do
        scored[#scored + 1] = '0'
        scored[#scored + 1] = ARGV[i]
      end
      in_chunks('ZADD', block.order, scored, 1, #scored)
    end
    if block.deletes > 0 then
      in_chunks('HDEL', block.rows, ARGV, block.deletes_at, block.deletes_at + block.deletes - 1)
    end
  end
end
"""

_APPEND = """
-- KEYS: head, journal, due, users, scopes, blocks'. ARGV: tip before, first seq, last seq, last nonce, due, name,
-- user id, erases, sent again, number of records, records, blocks. Answers 1 applied, 0 conflict, 2 unknown.
local head = read_head(KEYS[1])
local kept = redis.call('LLEN', KEYS[2])
if kept ~= (head and head.seq - head.floor + 1 or 0) then
  return redis.error_reply('DAMAGED the journal has not as many records as its head says')
end
if (head and head.seq .. ' ' .. head.nonce or '0 ') ~= ARGV[1] then
  if ARGV[9] ~= '1' or not head or tonumber(ARGV[3]) > tonumber(head.seq) then return 0 end
  -- The reply to the first sending was lost: the record at its place is mine, or is not, or is gone.
  local index = ARGV[3] - head.floor
  if index < 0 then return 2 end
  local mine = ARGV[3] .. ' ' .. ARGV[4] .. ' '
  if string.sub(redis.call('LINDEX', KEYS[2], index), 1, #mine) ~= mine then return 0 end
  -- So that WAIT on this connection has something to wait for.
  redis.call('SET', KEYS[1], redis.call('GET', KEYS[1]))
  return 1
end
local erases = ARGV[8] == '1'
local due = head and head.due or '-'
local lists = ARGV[7] ~= '' and (head ~= nil and head.erased == '0') == erases
if due ~= ARGV[5] then redis.call('ZCARD', KEYS[3]) end
if lists then redis.call('ZCARD', KEYS[4]) end
if not head then redis.call('ZCARD', KEYS[5]) end
local records = tonumber(ARGV[10])
local blocks = read_blocks(6, 11 + records, erases)
local floor = (head and not erases) and head.floor or ARGV[2]
local refused = first_write('SET', KEYS[1], table.concat({ARGV[3], ARGV[4], floor, ARGV[5], ARGV[8]}, ' '))
if refused then return refused end
if erases then redis.call('UNLINK', KEYS[2]) end
in_chunks('RPUSH', KEYS[2], ARGV, 11, 10 + records)
if due ~= ARGV[5] then
  if due ~= '-' then redis.call('ZREM', KEYS[3], due .. ARGV[6]) end
  if ARGV[5] ~= '-' then redis.call('ZADD', KEYS[3], 0, ARGV[5] .. ARGV[6]) end
end
if lists then
  if erases then redis.call('ZREM', KEYS[4], ARGV[7]) else redis.call('ZADD', KEYS[4], 0, ARGV[7]) end
end
if not head then redis.call('ZADD', KEYS[5], 0, ARGV[6]) end
write_blocks(blocks)
return 1
"""

_SEED = """
-- KEYS: blocks'. ARGV: afresh, blocks.
local blocks = read_blocks(1, 2, ARGV[1] == '1')
for _, block in ipairs(blocks) do
  if block.puts > 0 then
    local refused = first_write('HSET', block.rows, ARGV[block.at], ARGV[block.at + 1])
    if refused then return refused end
    break
  end
end
write_blocks(blocks)
return 1
"""

_RECORDS = """
-- KEYS: head, journal. ARGV: after, limit. Answers the floor where records are missing, else '', and the records.
local head = read_head(KEYS[1])
if not head then return {'', {}} end
if ARGV[1] + 1 < tonumber(head.floor) then return {head.floor, {}} end
local first = ARGV[1] + 1 - head.floor
return {'', redis.call('LRANGE', KEYS[2], whole(first), whole(first + ARGV[2] - 1))}
"""

_PAGE = """
-- KEYS: rows, order. ARGV: lowest, highest, descending, limit, length of what stands before an id.
-- Answers ids and values.
local found
if ARGV[3] == '1' then
  found = redis.call('ZREVRANGEBYLEX', KEYS[2], ARGV[2], ARGV[1], 'LIMIT', 0, ARGV[4])
else
  found = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[4])
end
for i, place in ipairs(found) do found[i] = string.sub(place, ARGV[5] + 1) end
local values = {}
for from = 1, #found, 4000 do
  for _, value in ipairs(redis.call('HMGET', KEYS[1], unpack(found, from, math.min(from + 3999, #found)))) do
    values[#values + 1] = value
  end
end
return {found, values}
"""

_TRUNCATE = """
-- KEYS: head, journal. ARGV: floor.
local head = read_head(KEYS[1])
if not head then return 0 end
redis.call('LLEN', KEYS[2])
local floor = math.min(tonumber(ARGV[1]), tonumber(head.seq))
local gone = floor - head.floor
if gone <= 0 then return 0 end
local after = table.concat({head.seq, head.nonce, whole(floor), head.due, head.erased}, ' ')
local refused = first_write('SET', KEYS[1], after)
if refused then return refused end
redis.call('LTRIM', KEYS[2], whole(gone), -1)
return gone
"""

_REDACT = """
-- KEYS: head, journal. ARGV: seq, old body and new body of each record. Answers which of them it replaced, from 1.
local head = read_head(KEYS[1])
if not head then return {} end
local writes, replaced = {}, {}
for i = 1, #ARGV, 3 do
  local index = ARGV[i] - head.floor
  if index >= 0 and index <= head.seq - head.floor then
    local element = redis.call('LINDEX', KEYS[2], whole(index))
    local envelope = string.match(element, '^%S+ %S+ %S+ %S+ ')
    if string.sub(element, #envelope + 1) == ARGV[i + 1] then
      writes[#writes + 1] = {whole(index), envelope .. ARGV[i + 2]}
      replaced[#replaced + 1] = (i + 2) / 3
    end
  end
end
for i, write in ipairs(writes) do
  if i == 1 then
    local refused = first_write('LSET', KEYS[2], write[1], write[2])
    if refused then return refused end
  else
    redis.call('LSET', KEYS[2], write[1], write[2])
  end
end
return replaced
"""


@dataclass(frozen=True, slots=True, eq=False)
class Script:
    """A script, which a server may have by its digest."""

    source: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", sha1(self.source.encode(), usedforsecurity=False).hexdigest())


APPEND: Final = Script(_FIRST_WRITE + _BLOCKS + _APPEND)
SEED: Final = Script(_FIRST_WRITE + _BLOCKS + _SEED)
RECORDS: Final = Script(_FIRST_WRITE + _RECORDS)
PAGE: Final = Script(_PAGE)
TRUNCATE: Final = Script(_FIRST_WRITE + _TRUNCATE)
REDACT: Final = Script(_FIRST_WRITE + _REDACT)
