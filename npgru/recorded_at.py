"""When a recording began, in UTC: from what AudioMoth and Wildlife Acoustics recorders write into files and their names.

What is inside a file is believed before its name. A local time whose distance from UTC nobody states gives no time.
"""
import os
import re
import struct
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from .audio import printable

MAX_CHUNK_BYTES = 1 << 16       # GUANO and WAMD have under 2 KB
MAX_CHUNKS = 1000               # of one file; more is a damaged one
WAMD_TIME = 5                   # the number of the field
EARLIEST_YEAR = 1990            # before it, the clock of the recorder was not set
# 2023-05-01T04:30:00.5+02:00, as GUANO (ISO 8601) and WAMD (a space instead of T) write it
WRITTEN = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6})\d*)? *(Z|[+-]\d\d:?\d\d)?")
AUDIOMOTH = re.compile(r"Recorded at (\d\d):(\d\d):(\d\d)(?:\.(\d{3}))? (\d\d)/(\d\d)/(\d{4}) \(UTC(?:([+-]\d{1,2})(?::(\d\d))?)?\)")
# 20230501_043000: AudioMoth, UTC. SMA00001_20230501_043000: Wildlife Acoustics, local. 20230501T043000+0200_x: it says so.
NAMED = re.compile(r"(?P<prefix>.*_)?(\d{4})(\d\d)(\d\d)[_T](\d\d)(\d\d)(\d\d)(?:_(\d{3}))?(Z|[+-]\d{4})?(?:T|_\D.*)?")


def recorded_at(path, comment: str = "", local_offset: timedelta | None = None) -> datetime | None:
    """The moment of the first sample, in UTC, or None where nothing tells it.

    comment       of the file (npgru.audio.Info.comment): AudioMoth's "Recorded at 04:30:00 01/05/2023 (UTC+2) by ..."
    local_offset  what the recorder's clock is ahead of UTC, for times that do not say so themselves
    """
    for begun in (_of_chunks(path), _of_comment(comment)):
        if begun and (begun.tzinfo or local_offset is not None):
            return _utc(begun, local_offset)
    named = NAMED.fullmatch(os.path.splitext(os.path.basename(path))[0])
    if not named:
        return None
    zone = named[9] or ("" if named["prefix"] else "Z")
    begun = _moment(named.groups()[1:7], (named[8] or "").ljust(6, "0"), zone)
    return _utc(begun, local_offset) if begun and (begun.tzinfo or local_offset is not None) else None


def iso(begun: datetime | None, after_s: float = 0.0) -> str:
    """begun + after_s as "2023-05-01T04:30:01.008Z", to the millisecond; "" for None, and beyond the year 9999."""
    try:
        return (begun + timedelta(seconds=after_s)).isoformat(timespec="milliseconds").replace("+00:00", "Z") if begun else ""
    except OverflowError:
        return ""


def parsed_offset(text: str) -> timedelta:
    """"+02:00", "-0330" or "Z" -> what a clock is ahead of UTC. raises ValueError for anything else"""
    zone = _zone(text) if re.fullmatch(r"Z|[+-]\d\d:?\d\d", text) else None
    if zone is None:
        raise ValueError(f"found {printable(text)!r}; accepted: an offset from UTC such as +02:00, -03:30 or Z")
    return zone.utcoffset(None)


def _utc(begun, local_offset):
    """A moment -> the same in UTC; None where the calendar ends."""
    try:
        return (begun if begun.tzinfo else begun.replace(tzinfo=timezone(local_offset))).astimezone(timezone.utc)
    except OverflowError:
        return None


def _moment(numbers, microseconds, zone):
    """Year to second as text, microseconds, "+0200" or "" -> datetime; None for a date that does not exist."""
    try:
        begun = datetime(*map(int, numbers), int(microseconds or 0), tzinfo=_zone(zone) if zone else None)
        return begun if begun.year >= EARLIEST_YEAR else None
    except ValueError:
        return None


def _zone(text):
    """"Z", "+02:00" or "+0200" -> timezone; None for one that does not exist."""
    hours, minutes = (0, 0) if text == "Z" else (int(text[1:3]), int(text[-2:]))
    if hours > 14 or minutes > 59:
        return None
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def _of_comment(comment):
    found = AUDIOMOTH.search(comment)
    if not found:
        return None
    hour, minute, second, ms, day, month, year, hours, minutes = found.groups()
    zone = f"{hours[0]}{int(hours[1:]):02}{minutes or '00'}" if hours else "Z"
    return _moment((year, month, day, hour, minute, second), (ms or "").ljust(6, "0"), zone)


def _of_chunks(path):
    """The time in a GUANO or a WAMD chunk; None without one."""
    for name, content in _chunks(path, (b"guan", b"wamd")):
        text = _guano_time(content) if name == b"guan" else _wamd_time(content)
        found = WRITTEN.match(text.strip())
        begun = found and _moment(found.groups()[:6], (found[7] or "").ljust(6, "0"), found[8] or "")
        if begun:
            return begun
    return None


def _guano_time(content):
    """The value of GUANO's Timestamp. Source: the GUANO specification 1.0, lines "Key: value" in UTF-8."""
    for line in content.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "Timestamp":
            return value
    return ""


def _wamd_time(content):
    """The time field of Wildlife Acoustics' metadata: fields of a number (2 bytes), a size (4 bytes), and so many bytes."""
    at = 0
    while at + 6 <= len(content):
        number, size = struct.unpack_from("<HI", content, at)
        if number == WAMD_TIME:
            return content[at + 6:at + 6 + size].decode("ascii", "replace")
        at += 6 + size
    return ""


def _chunks(path, wanted) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of a RIFF file's chunks of the wanted names, up to MAX_CHUNK_BYTES of each. None in other files.

    Only sizes are believed, and only as far as the file reaches: each step goes forward, and a damaged one ends it.
    """
    try:
        with open(path, "rb") as file:
            head, long_data_bytes = file.read(12), None
            if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
                return
            for _ in range(MAX_CHUNKS):
                head = file.read(8)
                if len(head) < 8:
                    return
                name, size = struct.unpack("<4sI", head)
                start = file.tell()
                if name == b"ds64":                                     # the true sizes, where 32 bits do not hold them
                    long_data_bytes = int.from_bytes(file.read(16)[8:], "little")
                elif name == b"data" and size == 0xFFFFFFFF and long_data_bytes is not None:
                    size = long_data_bytes
                elif name in wanted:
                    yield name, file.read(min(size, MAX_CHUNK_BYTES))
                file.seek(start + size + size % 2)
    except (OSError, ValueError, OverflowError):                        # npgru.audio says what is wrong with the file
        return
