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
from accelpool.drivers.ascend import describe
from accelpool.drivers.book import Entry
from accelpool.drivers.mdev import Mdev
from accelpool.partitions import Geometry, Span, Template
from accelpool.types import Device, Slice

PREFIX = 'vnpu-'
#: Types of a chip's second function: of the same templates, with this in front.
SECOND = 'p1_'
#: Why such a vNPU has no sessions.
NO_SESSIONS = 'a vNPU for VMs is given to an instance on its own host; ask for isolation shared or whole'
#: 'aicore num: 4\nmemory size: 12GB\naicpu num: 4'; a description without AI CPUs leaves them to the kernel's count.
AICORE = re.compile(r'aicore num\w*:\s*(\d+)', re.IGNORECASE)
MEMORY = re.compile(r'memory size:\s*(\d+)\s*GB', re.IGNORECASE)


class VnpuMdev(Mdev):
    """Makes and unmakes them as other mediated devices; a template's name goes without the prefix."""

    def plan(self, device: Device, wanted: Slice) -> Entry:
        entry = super().plan(device, wanted)
        kinds = [path for path in self._types(device.pci_address or '') if _template(path) == wanted.template]
        kind = next((path for path in kinds if _free(path)), next(iter(kinds), None))
        return {**entry, 'type': kind.name if kind else f'{PREFIX}{entry["type"]}'}

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
        templates: dict[str, Template] = {}
        capacity, taken = {'aicore': aicore, 'memory': memory, 'vnpus': describe.MOST_VNPUS}, list[Span]()
        for path in self._types(pci):
            free = _free(path)
            try:
                text = (path / 'description').read_text()
            except OSError:
                continue
            cores, size = AICORE.search(text), MEMORY.search(text)
            if free is None or cores is None or size is None:
                continue
            name, takes = _template(path), int(size[1]) * 1024
            needs = {'aicore': int(cores[1]), 'memory': takes, 'vnpus': 1}
            made = {one.name for one in (path / 'devices').glob('*')}
            taken += [Span(needs=needs) for _ in made - set(ours)]
            capacity[name] = capacity.get(name, 0) + free + len(made & set(ours))
            # What is sold as memory is nominal; sums of it may be more than the chip says that it has.
            capacity['memory'] = max(capacity['memory'], takes * (free + len(made)))
            templates[name] = Template(
                name=name, compute=100 * int(cores[1]) // aicore, memory=min(takes, memory), needs={**needs, name: 1},
                special=name in describe.rare())
        if not templates:
            return None
        return Geometry(templates=tuple(templates.values()), capacity=capacity, taken=tuple(taken))

    def _types(self, pci: str) -> list[pathlib.Path]:
        return [path for function in self.functions(pci)
                for path in sorted((function / 'mdev_supported_types').glob(f'{PREFIX}*'))]


def _template(path: pathlib.Path) -> str:
    return path.name.removeprefix(PREFIX).removeprefix(SECOND)


def _free(path: pathlib.Path) -> int | None:
    """Return how many more of a type there can be; None when the kernel does not say."""
    try:
        return int((path / 'available_instances').read_text())
    except (OSError, ValueError):
        return None
