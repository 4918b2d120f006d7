# SPDX-License-Identifier: Apache-2.0
"""First inputs for fuzz_worker: one of each frame that is written by hand, in an order that a program would use.

For fuzz_images: one of each kind of image, and each compression.

AscendCL's generated calls come from the description: each with handles and memory that are there, and with none.
"""

import hashlib
import pathlib
import struct
import sys

from accelpool.remoting.generator import model
from tests.support import cubins

BASE = 0x200000000000
GRANULE = 2 << 20
WANT = 1


def frame(opcode: int, payload: bytes = b'', flags: int = 0) -> bytes:
    """A frame as the fuzz target reads it: without a sequence number."""
    return struct.pack('<IHH', len(payload), opcode, flags) + payload


def memory_frames() -> bytes:
    """Memory, and copies to and from it."""
    return (frame(10, struct.pack('<4Q', BASE, 4 * GRANULE, GRANULE, GRANULE), WANT)
            + frame(23, struct.pack('<3Q', BASE, 16, 0) + bytes(16))
            + frame(23, struct.pack('<3Q', BASE, 70000, 0)) + frame(13, bytes(40000)) + frame(13, bytes(30000))
            + frame(24, struct.pack('<3Q', BASE, 100000, 0), WANT) + frame(24, struct.pack('<3Q', BASE, 16, 0), WANT))


def payload(interface: model.Interface, function: model.Function, handle: int, address: int) -> bytes:
    """A generated call's frame; numbers that are neither a handle nor an address are 16."""
    packed = b''
    for argument in function.args:
        if argument.returns:
            continue
        kind = 'u64' if argument.creates else interface.wire(argument)
        value = address if argument.reads or argument.writes else 17 if argument.creates else handle if kind in model.HANDLES else 16
        packed += value.to_bytes(4 if kind in {'i32', 'u32'} else 8, 'little')
    return packed


def acl_seeds() -> dict[str, bytes]:
    """Name and content of every seed of AscendCL's worker."""
    interface = model.load(pathlib.Path('accelpool/remoting/interfaces/acl.yaml'))
    generated = [f for f in interface.calls if not f.by_hand]
    made = frame(66, struct.pack('<QII', 16, 0, 0)) + frame(73, struct.pack('<QI', 16, 0x48))  # stream and event 16
    image = b'image'
    loaded = module(image, 1, kind=4, flags=0) + frame(86, struct.pack('<QQI', 1, 20, 5) + b'name\0', WANT) + frame(
        87, struct.pack('<3Q', 1, 21, 3), WANT)
    launch = frame(88, struct.pack('<QQ4I', 20, 16, 1, 1, 1, 24) + struct.pack('<5I', 1, 7, 0, 0, 0)
                   + struct.pack('<II', 8, 16) + bytes(24))
    key, place = bytes(64), BASE + 8 * GRANULE
    shared = (frame(100, struct.pack('<QQII', BASE + 4096, GRANULE, 0, 0), WANT)
              + frame(101, key + struct.pack('<II2i', 2, 0, 1, 2), WANT)
              + frame(102, key + struct.pack('<iIQ', 1, 0, 0), WANT) + frame(102, key + struct.pack('<iIQ', 1, 0, place), WANT)
              + frame(24, struct.pack('<3Q', place, 16, 0), WANT)
              + frame(103, key + struct.pack('<QQ', place, 2 * GRANULE), WANT)
              + frame(103, key + struct.pack('<QQ', 0, 0), WANT))
    events = frame(104, struct.pack('<Q', 16), WANT) + frame(105, key + struct.pack('<Q', 18), WANT)
    busy = frame(95, struct.pack('<I', 0x5703), WANT)
    every = b''.join(frame(f.opcode, payload(interface, f, 16, BASE), WANT * (f.reply == 'wait'))
                     for f in sorted(generated, key=lambda f: any(a.destroys for a in f.args)))
    wrong = b''.join(frame(f.opcode, payload(interface, f, 99, 0), WANT) for f in generated)
    copy = frame(85, struct.pack('<4Q', BASE, BASE + 4096, 64, 16))
    memory = memory_frames()
    return {'acl_memory': memory + copy, 'acl_launch': memory + made + loaded + launch + frame(17, bytes([1]) + bytes(7)),
            'acl_shared': memory + shared, 'acl_events': made + events, 'acl_every': memory + made + every,
            'acl_wrong': memory + wrong, 'acl_busy': memory + busy + made + loaded + launch + shared + events + every}


def module(image: bytes, number: int = 1, *, kind: int = 1, flags: int = 1) -> bytes:
    """OFFER, DATA and the content of an image: a PTX library."""
    call = struct.pack('<IIQ32sII', number, kind, len(image), hashlib.sha256(image).digest(), flags, 0) + bytes(128)
    return frame(15, call, WANT) + frame(16, call, WANT) + frame(13, image)


def seeds() -> dict[str, bytes]:
    """Name and content of every seed."""
    lease, copies = memory_frames()[:48], memory_frames()[48:]
    launch = frame(22, struct.pack('<2I3I3I4IQ', 1, 1, 1, 1, 1, 32, 1, 1, 0, 1, 16, 0, 0) + struct.pack('<II64s', 2, 0, b'')
                   + struct.pack('<QQ', BASE, 1))
    image = b'.global .align 4 .u32 g1;\n.visible .entry empty() { ret; }\n\0'
    link = (frame(18, struct.pack('<II', 1, 1) + struct.pack('<II', 7, 3))
            + frame(19, struct.pack('<IIQII', 1, 1, len(image), 2, 0) + b'a\0', WANT) + frame(13, image)
            + frame(20, struct.pack('<II', 1, 0), WANT) + frame(21, struct.pack('<II', 1, 0)))
    busy = frame(92, struct.pack('<iQ', 0x57, 3), WANT)
    tensor = struct.pack('<10Q20I', BASE, 64, 32, 8, 4, 2, 128, 4096, 32768, 65536, *[1] * 18, 5, 6) + bytes(16)
    clusters = struct.pack('<2I3I3I4IQ', 1, 1, 8, 1, 1, 32, 1, 1, 0, 1, 0, 0, 0) + struct.pack('<II3I52s', 4, 0, 2, 1, 1, b'')
    return {
        'tensors': (frame(95, tensor, WANT) + frame(96, tensor, WANT) + frame(97, struct.pack('<17Q', BASE, *range(16)), WANT)
                    + lease + module(image) + frame(98, clusters, WANT) + frame(99, clusters, WANT)),
        'lease': lease + frame(11, struct.pack('<3Q', BASE, GRANULE, 256)) + frame(12, b'', WANT) + frame(14, b'', WANT),
        'copies': lease + copies,
        'staged': lease + busy + copies,
        'module': lease + module(image) + launch + frame(31, struct.pack('<II', 1, 3) + b'g2\0', WANT) + frame(25, struct.pack('<IIii', 1, 0, 8, 1)) + frame(17, bytes([1]) + bytes(7)),
        'limits': b''.join(frame(92, struct.pack('<iQ', limit, 1 << 24), WANT) for limit in range(-1, 7)) + module(image),
        'many': module(b'// many\n\0', flags=3) + b''.join(frame(32, struct.pack('<II', 1, i), WANT) for i in (1, 39, 40)) + launch,
        'link': link,
        'calls': b''.join(frame(64 + i, bytes(8 * (i % 5)), WANT) for i in range(32)),
        'bye': frame(8),
    }


def image_seeds() -> dict[str, bytes]:
    """Name and content of every seed of images; the first byte is the kind."""
    source = b"""
__device__ int counter; __constant__ float factors[100];
extern "C" __global__ void kernel(int *p) { static __device__ int calls; p[calls++] = counter + factors[*p]; }
"""
    parts = [(cubins.cubin(source, 'sm_90'), '90'), (cubins.ptx(source), '75')]
    return {'cubin': b'c' + parts[0][0], 'ptx': b'p' + parts[1][0],
            'plain': b'f' + cubins.fatbin(parts, '-compress=false'), 'zstd': b'f' + cubins.fatbin(parts, '-compress-all'),
            'lz4': b'f' + cubins.fatbin(parts, '-compress-all', '-compress-mode=speed')}


def main() -> None:
    """Write the seeds of an interface: its name and the directory are on the command line."""
    target = pathlib.Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for name, content in {'cuda': seeds, 'acl': acl_seeds, 'images': image_seeds}[sys.argv[1]]().items():
        (target / name).write_bytes(content)


if __name__ == '__main__':
    main()
