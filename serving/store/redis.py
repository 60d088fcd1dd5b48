"""Keep values in a real Redis.

A value is a Redis hash: `v`, its version `event_time:sequence`, and `d`, the bytes that the API
returns unchanged.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import MasterDownError, NoScriptError, OutOfMemoryError

from config.errors import RetryableError
from serving.store.model import Index, Stored, StoreRestartedError, Write

# Redis answers up to two seconds before its file has the values (appendfsync everysec, its sync
# slow). If killed then, it comes back without them, and they are read again.
TRAIL_S = 3.0


def parse_version(text: str) -> tuple[int, int]:
    """Split `event_time:sequence` into two ints. Raise ValueError."""
    event_time, sequence = text.split(":")
    return int(event_time), int(sequence)


# One round trip per batch, one atomic step per value. A losing write touches neither latest nor
# index: the value that stays entered those of its own write in the same step, and the loser's may
# be another customer's (a reused id). Numbers stay below 2^53, so Lua's doubles hold them exactly.
SCRIPT = """
local key, latest, index = KEYS[1], KEYS[2], KEYS[3]
local rule, version, data, member = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local keep, evict, ttl = tonumber(ARGV[5]), ARGV[6], ARGV[8]

local function parts(v)
  local t, s = string.match(v, '^(-?%d+):(-?%d+)$')
  return tonumber(t), tonumber(s)
end
local function newer(a, b)
  local at, as = parts(a)
  local bt, bs = parts(b)
  return at > bt or (at == bt and as > bs)
end

local function keep_for(name)
  if ttl == '' then
    redis.call('PERSIST', name)
  else
    redis.call('PEXPIRE', name, ttl)
  end
end

local stored = redis.call('HMGET', key, 'v', 'd')
if stored[1] and (rule == 'first' or not newer(version, stored[1])) then
  return stored
end
redis.call('HSET', key, 'v', version, 'd', data)
keep_for(key)
if latest ~= '' then
  local old = redis.call('HGET', latest, 'v')
  if not old or newer(version, old) then
    redis.call('HSET', latest, 'v', version, 'd', data)
  end
  keep_for(latest)
end
if index ~= '' then
  local t = parts(version)
  redis.call('ZADD', index, t, ARGV[7] == '1' and member or data)
  keep_for(index)
  local surplus = redis.call('ZCARD', index) - keep
  if surplus > 0 then
    local gone = redis.call('ZPOPMIN', index, surplus)
    if evict ~= '' then
      for i = 1, #gone, 2 do
        redis.call('DEL', evict .. gone[i])
      end
    end
  end
end
return false
"""

# Away, still loading, memory full, a replica, disk full, a long script: a later try may succeed.
# redis-py has no class for errors named by the answer's first word.
PASSING = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.ReadOnlyError,
    OutOfMemoryError,
    MasterDownError,
)
ANEW = "Redis has restarted: its last answers may be lost"
PASSING_WORDS = ("MISCONF ", "BUSY ", "NOREPLICAS ")


class RedisStore:
    """The store on a real Redis (one node: a write's keys lie in several slots)."""

    def __init__(self, client: redis.Redis, *, trail: float = TRAIL_S) -> None:
        self.trail = trail
        # redis-py's return types are unions over its protocols and modes.
        self._client: Any = client
        # Scripts live as long as the server process, so a script of each store's own tells it
        # whether the server is still the same.
        self._script = f"-- {uuid.uuid4()}\n{SCRIPT}"
        self._sha = ""

    def apply(self, writes: Sequence[Write]) -> list[Stored | None]:
        """Apply the writes in one pipeline.

        Raise RetryableError when Redis is away, still loading, or cannot write now, and
        StoreRestartedError once Redis has restarted, from then on: the successor needs a new store.
        """
        if not writes:
            return []
        try:
            return [_stored(answer) for answer in self._run([_call(write) for write in writes])]
        except NoScriptError as error:
            raise StoreRestartedError(ANEW) from error
        except redis.RedisError as error:
            if isinstance(error, PASSING) or str(error).startswith(PASSING_WORDS):
                raise _later(error) from error
            raise

    def _run(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        if not self._sha:
            self._sha = str(self._client.script_load(self._script))
        pipeline = self._client.pipeline(transaction=False)
        for call in calls:
            pipeline.evalsha(self._sha, 3, *call)
        return list(pipeline.execute(raise_on_error=False))

    def get(self, key: str) -> Stored | None:
        """Return the value of a key."""
        version, data = self._client.hmget(key, ["v", "d"])
        return None if version is None else Stored(*parse_version(version.decode()), data)

    def newest(self, index: str, count: int) -> list[bytes]:
        """Return the `count` newest members."""
        return list(self._client.zrevrange(index, 0, count - 1))

    def check(self) -> None:
        """Raise `StoreRestartedError` unless the script is still known.

        Before the first batch there is nothing to forget.
        """
        try:
            same = not self._sha or self._client.script_exists(self._sha)[0]
        except redis.RedisError as error:
            raise _later(error) from error
        if not same:
            raise StoreRestartedError(ANEW)


def _later(error: redis.RedisError) -> RetryableError:
    name = type(error).__name__  # the client's repr has the name, but not the text
    return RetryableError(f"Redis is away or cannot write: {name}: {error}")


def _call(write: Write) -> tuple[Any, ...]:
    index = write.index or Index("", 0)
    named = index.member is not None
    version = f"{write.event_time}:{write.sequence}"
    return (
        *(write.key, write.latest, index.key),
        *(
            write.rule.value,
            version,
            write.data,
            index.member or "",
            index.keep,
            index.evict,
            "1" if named else "0",
            "" if write.ttl_ms is None else write.ttl_ms,
        ),
    )


def _stored(answer: Any) -> Stored | None:
    if isinstance(answer, Exception):
        raise answer
    if answer is None:
        return None
    return Stored(*parse_version(answer[0].decode()), answer[1])
