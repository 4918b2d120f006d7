# SPDX-License-Identifier: Apache-2.0
"""What the emulated Ascend device's kernels are launched with (drivers/mock/native/acl/kernel_args.h)."""

import struct

NPU_MAGIC = b'ACCELPOOL-NPU-KERNELS\n'
FLOAT = 0


def arguments(addresses: list[int], count: int, *, numbers: tuple[float, ...] = (1, 0, 0, 0), stride: int = 1) -> bytes:
    """Tensors that are vectors of ``count`` floats: addresses, room for the tiling data's own, the tiling data."""
    shape = struct.pack('<ii', FLOAT, 1) + struct.pack('<8q8qq', count, *[0] * 7, stride, *[0] * 7, 0)
    tiling = struct.pack('<II4d12q', len(addresses), 0, *numbers, 1, *[0] * 11)
    return struct.pack(f'<{len(addresses) + 1}Q', *addresses, 0) + tiling + shape * len(addresses)
