"""What consumers write, order-proof.

Whichever order and however often records arrive, the same values end up stored.

A value is a Redis hash: `v`, its version `event_time:sequence`, and `d`, the bytes that the API
returns as they are.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import redis
from redis.exceptions import MasterDownError, NoScriptError, OutOfMemoryError

from config.errors import RetryableError


class Rule(Enum):
    """Which of two writes to one key stays."""

    FIRST = "first"  # a decision was made: a repetition or a rescoring never replaces it
    NEWEST = "newest"  # the greater (event_time, sequence)


@dataclass(frozen=True, slots=True)
class Index:
    """A sorted set by event time that the value enters; the oldest beyond `keep` leave.

    `member` None: the stored bytes themselves are the member. Otherwise the member names the value,
    and with `evict` a member that leaves takes the key `evict + member` with it.
    """

    key: str
    keep: int
    member: str | None = None
    evict: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """One value.

    `latest` names a second key that keeps the newest of all values written with it.
    """

    key: str
    event_time: int
    sequence: int
    data: bytes
    rule: Rule = Rule.FIRST
    latest: str = ""
    index: Index | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A value with its version."""

    event_time: int
    sequence: int
    data: bytes


class StoreRestartedError(Exception):
    """The store may have forgotten what it answered in its last seconds.

    That is to be applied again first.
    """


class Store(Protocol):
    """The writing side, and as much of reading as tests need."""

    def apply(self, writes: Sequence[Write]) -> list[Stored | None]:
        """Apply in order.

        For each write None when its value stays, else the value that stays instead.

        Every write is idempotent, so the whole batch may be repeated after `RetryableError` (store
        away, or full). Raises `StoreRestartedError` as `check` does.
        """
        ...

    def check(self) -> None:
        """Raise `StoreRestartedError` unless what answered so far still runs.

        `RetryableError` when nothing answers.
        """
        ...

    def get(self, key: str) -> Stored | None:
        """The value of a key."""
        ...

    def newest(self, index: str, count: int) -> list[bytes]:
        """The `count` newest members of an index, newest first."""
        ...


def parse_version(text: str) -> tuple[int, int]:
    """`event_time:sequence` as two ints. Raises ValueError."""
    event_time, sequence = text.split(":")
    return int(event_time), int(sequence)


# One round trip a batch, one atomic step a value. A write that loses touches neither latest nor
# index: the value that stays entered those of its own write, in the same step as itself, and the
# loser's may be another customer's (a reused id). Numbers stay below 2^53, so Lua's doubles hold
# them exactly.
SCRIPT = """
local key, latest, index = KEYS[1], KEYS[2], KEYS[3]
local rule, version, data, member = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local keep, evict = tonumber(ARGV[5]), ARGV[6]

local function parts(v)
  local t, s = string.match(v, '^(-?%d+):(-?%d+)$')
  return tonumber(t), tonumber(s)
end
local function newer(a, b)
  local at, as = parts(a)
  local bt, bs = parts(b)
  return at > bt or (at == bt and as > bs)
end

local stored = redis.call('HMGET', key, 'v', 'd')
if stored[1] and (rule == 'first' or not newer(version, stored[1])) then
  return stored
end
redis.call('HSET', key, 'v', version, 'd', data)
if latest ~= '' then
  local old = redis.call('HGET', latest, 'v')
  if not old or newer(version, old) then
    redis.call('HSET', latest, 'v', version, 'd', data)
  end
end
if index ~= '' then
  local t = parts(version)
  redis.call('ZADD', index, t, ARGV[7] == '1' and member or data)
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
# redis-py has no class for those named by the answer's first word.
PASSING = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.ReadOnlyError,
    OutOfMemoryError,
    MasterDownError,
)
ANEW = "Redis has started anew: its last answers may be forgotten"
PASSING_WORDS = ("MISCONF ", "BUSY ", "NOREPLICAS ")


class RedisStore:
    """The store on a real Redis (one node: a write's keys lie in several slots)."""

    def __init__(self, client: redis.Redis) -> None:
        # Any: redis-py's return types are unions over its protocols and modes.
        self._client: Any = client
        # Scripts live as long as the server does. One of its own tells each store that the server
        # is still the same.
        self._script = f"-- {uuid.uuid4()}\n{SCRIPT}"
        self._sha = ""

    def apply(self, writes: Sequence[Write]) -> list[Stored | None]:
        """Apply in one pipeline.

        Raises `RetryableError` when Redis is away, still loading, or cannot write now.

        Raises `StoreRestartedError` once Redis has started anew, and from then on: whoever goes on
        takes a new store.
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
        """The value of a key."""
        version, data = self._client.hmget(key, ["v", "d"])
        return None if version is None else Stored(*parse_version(version.decode()), data)

    def newest(self, index: str, count: int) -> list[bytes]:
        """The `count` newest members."""
        return list(self._client.zrevrange(index, 0, count - 1))

    def check(self) -> None:
        """Ask whether the script is still known.

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
        ),
    )


def _stored(answer: Any) -> Stored | None:
    if isinstance(answer, Exception):
        raise answer
    if answer is None:
        return None
    return Stored(*parse_version(answer[0].decode()), answer[1])


class MemoryStore:
    """The same rules in a dict, for tests and examples.

    Held equal to Redis by one conformance suite.
    """

    def __init__(self) -> None:
        self.values: dict[str, Stored] = {}
        self.indexes: dict[str, dict[bytes, int]] = {}

    def apply(self, writes: Sequence[Write]) -> list[Stored | None]:
        """Apply in order."""
        return [self._apply(write) for write in writes]

    def _apply(self, write: Write) -> Stored | None:
        value = Stored(write.event_time, write.sequence, write.data)
        old = self.values.get(write.key)
        if old is not None and (write.rule is Rule.FIRST or not _newer(value, old)):
            return old
        self.values[write.key] = value
        latest = self.values.get(write.latest)
        if write.latest and (latest is None or _newer(value, latest)):
            self.values[write.latest] = value
        if write.index is not None:
            self._enter(write.index, value)
        return None

    def _enter(self, index: Index, value: Stored) -> None:
        members = self.indexes.setdefault(index.key, {})
        members[value.data if index.member is None else index.member.encode()] = value.event_time
        while len(members) > index.keep:
            oldest = min(members, key=lambda member: (members[member], member))
            del members[oldest]
            if index.evict:
                self.values.pop(index.evict + oldest.decode(), None)

    def check(self) -> None:
        """It lives as long as whoever asks."""

    def get(self, key: str) -> Stored | None:
        """The value of a key."""
        return self.values.get(key)

    def newest(self, index: str, count: int) -> list[bytes]:
        """The `count` newest members."""
        members = self.indexes.get(index, {})
        return sorted(members, key=lambda member: (members[member], member), reverse=True)[:count]


def _newer(a: Stored, b: Stored) -> bool:
    return (a.event_time, a.sequence) > (b.event_time, b.sequence)
