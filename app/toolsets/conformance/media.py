"""The smallest picture and the smallest sound that count as such."""

import base64
import struct
import zlib


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


RED_DOT = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\x00\xff\x00\x00"))
    + _chunk(b"IEND", b"")
)
"""A PNG of one red pixel."""

SILENCE = struct.pack("<4sI8sIHHIIHH4sIH", b"RIFF", 38, b"WAVEfmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", 2, 0)
"""A WAV of one silent sample."""

PNG = base64.b64encode(RED_DOT).decode()
WAV = base64.b64encode(SILENCE).decode()
