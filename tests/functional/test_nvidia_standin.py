# SPDX-License-Identifier: Apache-2.0
"""The stand-in of NVML itself: asked by NVIDIA's own Python binding, and as faithful as the driver relies on."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import pynvml

from tests.fakes.nvml import host as fake

ROOT = pathlib.Path(__file__).parents[2]

PRELUDE = '''
import ctypes, json, pynvml as n
n.nvmlInit()
def code(call, *arguments):
    try:
        call(*arguments)
    except n.NVMLError as error:
        return error.value
    return 0
def device(index):
    return n.nvmlDeviceGetHandleByIndex(index)
def make(index, profile, start, size):
    place = n.c_nvmlGpuInstancePlacement_t(start, size)
    return n.nvmlDeviceCreateGpuInstanceWithPlacement(device(index), profile, ctypes.byref(place))
'''


class StandIn(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.path = pathlib.Path(place.name) / 'state'

    def make(self, description: str) -> fake.Host:
        host = fake.Host(description, self.path)
        self.addCleanup(host.close)
        return host

    def ask(self, host: fake.Host, script: str) -> object:
        done = subprocess.run([sys.executable, '-c', PRELUDE + script], env=host.env, capture_output=True, text=True,
                              check=False)
        self.assertEqual('', done.stderr)
        return json.loads(done.stdout)

    def test_a_gpu_is_no_numa_node_itself(self) -> None:
        """As on every host but those of NVIDIA's own processors."""
        host = self.make('h100')
        self.assertEqual([3, [1]], self.ask(
            host, 'print(json.dumps([code(n.nvmlDeviceGetNumaNodeId, device(0)), '
                  'list(n.nvmlDeviceGetMemoryAffinity(device(0), 1, 0))]))'))

    def test_every_function_that_the_driver_asks_for_is_there(self) -> None:
        """Resolved by the binding: it picks the versions (_v2, _v3) by itself."""
        source = (ROOT / 'accelpool/drivers/nvidia/nvml.py').read_text()
        binding = pathlib.Path(pynvml.__file__).read_text()
        exported = subprocess.run(['nm', '-D', '--defined-only', str(fake.library() / 'libnvidia-ml.so.1')],
                                  capture_output=True, text=True, check=True).stdout
        names = set(re.findall(r'pynvml\.(nvml[A-Z]\w+)\(', source)) | set(re.findall(r'pynvml\.(nvmlDevice\w+),', source))
        self.assertGreater(len(names), 40)
        for name in names:
            body = binding.split(f'\ndef {name}(', 1)[1].split('\ndef ', 1)[0]
            symbols = re.findall(r'_nvmlGetFunctionPointer\("(\w+)"\)', body)
            if not symbols:  # it hands over to a version of itself
                inner = re.search(r'return (nvml\w+)\(', body)
                if inner:
                    body = binding.split(f'\ndef {inner[1]}(', 1)[1].split('\ndef ', 1)[0]
                    symbols = re.findall(r'_nvmlGetFunctionPointer\("(\w+)"\)', body)
            known = [symbol for symbol in symbols if re.search(rf'\b{symbol}\b', exported)]
            self.assertTrue(known or not symbols, f'{name}: none of {symbols} is exported')

    def test_mig_placement_rules(self) -> None:
        host = self.make('dgx-a100')
        self.assertEqual([[0, 1, 2, 3, 4, 5, 6], [0, 2, 4], [0, 4], [0], [0]], self.ask(host, '''
found = []
for profile in (19, 14, 9, 5, 0):
    count = ctypes.c_uint(0)
    n.nvmlDeviceGetGpuInstancePossiblePlacements(device(6), profile, None, ctypes.byref(count))
    places = (n.c_nvmlGpuInstancePlacement_t * count.value)()
    n.nvmlDeviceGetGpuInstancePossiblePlacements(device(6), profile, places, ctypes.byref(count))
    found.append([places[i].start for i in range(count.value)])
print(json.dumps(found))'''))
        # 3g where the driver would put it, a 4g before it; then nothing fits any more; wrong sizes are refused.
        self.assertEqual([4, [1, 1, 0, 0], 0, [0, 0, 0, 0], 23, 2, 3], self.ask(host, '''
def left():
    found = []
    for profile in (9, 5, 0, 14):
        count = ctypes.c_uint(0)
        fn = n.nvmlLib.nvmlDeviceGetGpuInstanceRemainingCapacity
        assert fn(device(6), profile, ctypes.byref(count)) == 0
        found.append(count.value)
    return found
first = n.nvmlDeviceCreateGpuInstance(device(6), 9)
start = n.nvmlGpuInstanceGetInfo(first).placement.start
one = left()
one[3] = 0
make(6, 5, 0, 4)
print(json.dumps([start, one, 0, left(), code(make, 6, 19, 6, 1), code(make, 6, 19, 6, 2), code(make, 0, 19, 6, 1)]))'''))

    def test_compute_instances(self) -> None:
        host = self.make('dgx-a100')
        self.assertEqual([[1, 3, 14], [2, 1, 28], [3, 1, 42], 23, 19, 0], self.ask(host, '''
instance = make(6, 9, 4, 4)
found = []
for index in range(3):
    info = n.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, index, 0)
    found.append([info.sliceCount, info.instanceCount, info.multiprocessorCount])
compute = n.nvmlGpuInstanceCreateComputeInstance(instance, 1)
print(json.dumps([*found, code(n.nvmlGpuInstanceCreateComputeInstance, instance, 1),
    code(n.nvmlGpuInstanceDestroy, instance), code(n.nvmlComputeInstanceDestroy, compute)]))'''))

    def test_places_of_compute_instances(self) -> None:
        host = self.make('dgx-a100')
        self.assertEqual([[[0, 1, 2, 3, 4, 5, 6], [0, 2, 4], [0, 4], [0], [0]], 3, 0, 23, 0, 23, 6], self.ask(host, '''
instance = make(6, 0, 0, 8)
def starts(profile):
    count = ctypes.c_uint(0)
    n.nvmlGpuInstanceGetComputeInstancePossiblePlacements(instance, profile, None, ctypes.byref(count))
    places = (n.c_nvmlComputeInstancePlacement_t * count.value)()
    n.nvmlGpuInstanceGetComputeInstancePossiblePlacements(instance, profile, places, ctypes.byref(count))
    return [one.start for one in places]
def put(profile, start, size):
    place = n.c_nvmlComputeInstancePlacement_t(start, size)
    return code(n.nvmlGpuInstanceCreateComputeInstanceWithPlacement, instance, profile, ctypes.byref(place))
listed = [starts(profile) for profile in range(5)]
print(json.dumps([listed, code(starts, 6), put(1, 2, 2), put(0, 3, 1), put(2, 4, 3), put(1, 1, 2),
    code(n.nvmlGpuInstanceGetComputeInstanceById, instance, 7)]))'''))

    def test_a_full_instance_and_seven_small_ones(self) -> None:
        host = self.make('dgx-a100')
        self.assertEqual([[6, 5, 4, 3, 2, 1, 0], 23, 0], self.ask(host, '''
made = [n.nvmlDeviceCreateGpuInstance(device(6), 19) for _ in range(7)]
starts = [n.nvmlGpuInstanceGetInfo(one).placement.start for one in made]
full = code(n.nvmlDeviceCreateGpuInstance, device(6), 19)
for one in made:
    n.nvmlGpuInstanceDestroy(one)
print(json.dumps([starts, full, code(n.nvmlDeviceCreateGpuInstance, device(6), 0)]))'''))

    def test_errors_on_command(self) -> None:
        host = self.make('h100')
        with host.failing('nvmlDeviceGetName', code=999):
            self.assertEqual([999, 0], self.ask(host, '''
print(json.dumps([code(n.nvmlDeviceGetName, device(0)), code(n.nvmlDeviceGetUUID, device(0))]))'''))
        host.lose(0)
        self.assertEqual(15, self.ask(host, 'print(json.dumps(code(n.nvmlDeviceGetHandleByIndex, 0)))'))

    def test_events_come_after_registration_only_and_once(self) -> None:
        host = self.make('h100')
        host.xid(0, 31)
        self.assertEqual([10, 3], self.ask(host, '''
events = n.nvmlEventSetCreate()
n.nvmlDeviceRegisterEvents(device(0), 8, events)
print(json.dumps([code(n.nvmlEventSetWait_v2, events, 0), code(n.nvmlDeviceRegisterEvents, device(0), 1 << 40, events)]))
'''))
