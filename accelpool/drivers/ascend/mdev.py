# SPDX-License-Identifier: Apache-2.0
"""vNPUs for VMs: mediated devices of the types ``vnpu-<template>`` below the chip's PCI function.

The kernel driver lists the templates that this host has, and how many more of each there can be: the minimum over what
is free of AI cores, AI CPUs, JPEG decoders and memory, 16 at most.
"""

import dataclasses
import pathlib
import re
from collections.abc import Collection

from accelpool.drivers import base
from accelpool.drivers.ascend.describe import MOST_VNPUS
from accelpool.drivers.book import Entry
from accelpool.drivers.mdev import Mdev
from accelpool.partitions import Geometry, Span, Template
from accelpool.types import Device, Slice

PREFIX = 'vnpu-'
#: Why such a vNPU has no sessions.
NO_SESSIONS = 'a vNPU for VMs is given to an instance on its own host; ask for isolation shared or whole'
#: 'aicore num: 4\nmemory size: 12GB\naicpu num: 4'; a description without AI CPUs leaves them to the kernel's count.
AICORE = re.compile(r'aicore num\w*:\s*(\d+)', re.IGNORECASE)
MEMORY = re.compile(r'memory size:\s*(\d+)\s*GB', re.IGNORECASE)


class VnpuMdev(Mdev):
    """Makes and unmakes them as other mediated devices; a template's name goes without the prefix."""

    def plan(self, device: Device, wanted: Slice) -> Entry:
        entry = super().plan(device, wanted)
        return {**entry, 'type': f'{PREFIX}{entry["type"]}'}

    def make(self, entry: Entry) -> base.Carved:
        return dataclasses.replace(super().make(entry), no_sessions=NO_SESSIONS)

    def present(self, pci: str) -> set[str]:
        """Return the UUIDs of the vNPUs that a chip carries."""
        return {made.name for path in self._types(pci) for made in (path / 'devices').glob('*')}

    def vnpus(self, pci: str, aicore: int, memory: int, ours: Collection[str]) -> Geometry | None:
        """Return the vNPUs that a chip can have; None when the kernel offers none.

        :param aicore: AI cores of the chip
        :param memory: of the chip, MiB
        :param ours: UUIDs of those that the pool made; the others are taken for good
        """
        templates, capacity, taken = [], {'aicore': aicore, 'memory': memory, 'vnpus': MOST_VNPUS}, []
        for path in self._types(pci):
            try:
                text, free = (path / 'description').read_text(), int((path / 'available_instances').read_text())
            except (OSError, ValueError):
                continue
            cores, size = AICORE.search(text), MEMORY.search(text)
            if cores is None or size is None:
                continue
            name, takes = path.name.removeprefix(PREFIX), int(size[1]) * 1024
            needs = {'aicore': int(cores[1]), 'memory': takes, 'vnpus': 1}
            made = {one.name for one in (path / 'devices').glob('*')}
            taken += [Span(needs=needs) for _ in made - set(ours)]
            capacity[name] = free + len(made & set(ours))
            # What is sold as memory is nominal; sums of it may be more than the chip says that it has.
            capacity['memory'] = max(capacity['memory'], takes * (free + len(made)))
            templates.append(Template(name=name, compute=100 * int(cores[1]) // aicore, memory=min(takes, memory),
                                      needs={**needs, name: 1}))
        return Geometry(templates=tuple(templates), capacity=capacity, taken=tuple(taken)) if templates else None

    def _types(self, pci: str) -> list[pathlib.Path]:
        return [path for function in self.functions(pci)
                for path in sorted((function / 'mdev_supported_types').glob(f'{PREFIX}*'))]
