# SPDX-License-Identifier: Apache-2.0
"""First inputs for fuzz_worker: one of each frame that is written by hand, in an order that a program would use."""

import hashlib
import pathlib
import struct
import sys

BASE = 0x200000000000
GRANULE = 2 << 20
WANT = 1


def frame(opcode: int, payload: bytes = b'', flags: int = 0) -> bytes:
    """A frame as the fuzz target reads it: without a sequence number."""
    return struct.pack('<IHH', len(payload), opcode, flags) + payload


def module(image: bytes, number: int = 1) -> bytes:
    """OFFER, DATA and the content of one PTX library."""
    call = struct.pack('<IIQ32sII', number, 1, len(image), hashlib.sha256(image).digest(), 1, 0) + bytes(128)
    return frame(15, call, WANT) + frame(16, call, WANT) + frame(13, image)


def seeds() -> dict[str, bytes]:
    """Name and content of every seed."""
    lease = frame(10, struct.pack('<4Q', BASE, 4 * GRANULE, GRANULE, GRANULE), WANT)
    copies = (frame(23, struct.pack('<3Q', BASE, 16, 0) + bytes(16))
              + frame(23, struct.pack('<3Q', BASE, 70000, 0)) + frame(13, bytes(40000)) + frame(13, bytes(30000))
              + frame(24, struct.pack('<3Q', BASE, 100000, 0), WANT) + frame(24, struct.pack('<3Q', BASE, 16, 0), WANT))
    launch = frame(22, struct.pack('<2I3I3I4IQ', 1, 1, 1, 1, 1, 32, 1, 1, 0, 1, 16, 0, 0) + struct.pack('<II64s', 2, 0, b'')
                   + struct.pack('<QQ', BASE, 1))
    image = b'.global .align 4 .u32 g1;\n.visible .entry empty() { ret; }\n\0'
    link = (frame(18, struct.pack('<II', 1, 1) + struct.pack('<II', 7, 3))
            + frame(19, struct.pack('<IIQII', 1, 1, len(image), 2, 0) + b'a\0', WANT) + frame(13, image)
            + frame(20, struct.pack('<II', 1, 0), WANT) + frame(21, struct.pack('<II', 1, 0)))
    busy = frame(92, struct.pack('<iQ', 0x57, 3), WANT)
    return {
        'lease': lease + frame(11, struct.pack('<3Q', BASE, GRANULE, 256)) + frame(12, b'', WANT) + frame(14, b'', WANT),
        'copies': lease + copies,
        'staged': lease + busy + copies,
        'module': lease + module(image) + launch + frame(25, struct.pack('<IIii', 1, 0, 8, 1)) + frame(17, bytes([1]) + bytes(7)),
        'link': link,
        'calls': b''.join(frame(64 + i, bytes(8 * (i % 5)), WANT) for i in range(32)),
        'bye': frame(8),
    }


def main() -> None:
    """Write the seeds to the directory named on the command line."""
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for name, content in seeds().items():
        (target / name).write_bytes(content)


if __name__ == '__main__':
    main()
