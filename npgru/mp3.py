"""How long an MP3 really is: libsndfile believes its header, or an estimate where there is none, and stops there.

An MP3 is a row of frames. A Xing or Info header in the first frame counts them; without one, a file of varying
bit rate is estimated wrongly, and of joined files only the first is counted. `Unlimited` reads such files whole.
"""
import os

XING_BYTES = 120        # name, flags, frames, bytes, table of 100, quality
MAX_FRAME_BYTES = 1441
CLAIM = 64              # times the file size: the estimate can be wrong by the largest over the smallest bit rate, 40


def length_kind(path) -> tuple[str, int]:
    """("exact", "cut" or "unstated", byte where the first frame of sound starts).

    exact      the header's length is right
    cut        the header promises more bytes than there are
    unstated   there is no header, or sound goes on after what it counts: read from that byte with `Unlimited`
    """
    n_bytes = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(10)
        at = 10 + _syncsafe(head[6:10]) if head[:3] == b"ID3" else 0
        file.seek(at)
        frame = file.read(2 * MAX_FRAME_BYTES)
        tag = max(frame[:MAX_FRAME_BYTES].find(b"Xing"), frame[:MAX_FRAME_BYTES].find(b"Info"))
        if tag < 0:
            return ("exact" if b"VBRI" in frame[:64] else "unstated"), at
        if frame[tag + 7] & 3 != 3:             # flags: 1 frames and 2 bytes are stated
            return "exact", at
        stated_bytes = int.from_bytes(frame[tag + 12:tag + 16], "big")
        if stated_bytes > (n_bytes - at) * 1.01:
            return "cut", at
        file.seek(at + stated_bytes)
        next_bytes = file.read(3)
    if next_bytes == b"ID3" or _same_stream(next_bytes, frame):
        followers = (i for i in range(tag + XING_BYTES, len(frame) - 2) if _same_stream(frame[i:i + 3], frame))
        return "unstated", at + next(followers, 0)
    return "exact", at


def _syncsafe(four_bytes):
    """ID3's size: four bytes of 7 bits."""
    return sum((b & 127) << 7 * i for i, b in enumerate(reversed(four_bytes)))


def _same_stream(three_bytes, frame):
    """True if these start an MPEG frame of the version, layer and rate of `frame`."""
    return three_bytes[:2] == frame[:2] and len(three_bytes) == 3 and three_bytes[2] & 12 == frame[2] & 12


class Unlimited:
    """A file object for libsndfile that starts at `start` and claims to be so long that no estimate is too short.

    Sound ends where the file does; a frame that is cut there is filled up with zeros, or it would be an error.
    mpg123 looks for a tag in the last 128 bytes: it finds zeros.
    """

    def __init__(self, path, start: int):
        self._file, self._start, self._at = open(path, "rb"), start, 0
        self._claimed_bytes = CLAIM * os.path.getsize(path) + 128

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._claimed_bytes)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer) -> int:
        if self._at >= self._claimed_bytes - 128:
            n = min(len(buffer), self._claimed_bytes - self._at)
            buffer[:n] = bytes(n)
        else:
            try:                                # C calls this: an exception would be printed, not raised
                self._file.seek(self._start + self._at)
                n = self._file.readinto(buffer)
                if n:
                    buffer[n:] = bytes(len(buffer) - n)
                    n = len(buffer)
            except OSError:
                n = 0
        self._at += n
        return n

    def read(self, n: int = -1) -> bytes:
        raise NotImplementedError("libsndfile reads with readinto")

    def close(self) -> None:
        self._file.close()
