# SPDX-License-Identifier: Apache-2.0
"""What a tenant's program sees of NVML: NVIDIA's own Python binding on a slice."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import pynvml

from accelpool.remoting import artefacts
from tests.functional import loopback

PROGRAM = '''
import json, pynvml as n
def code(call, *arguments):
    try:
        call(*arguments)
    except n.NVMLError as error:
        return error.value
    return 0
n.nvmlInit()
device = n.nvmlDeviceGetHandleByIndex(0)
memory, second = n.nvmlDeviceGetMemoryInfo(device), n.nvmlDeviceGetMemoryInfo(device, version=n.nvmlMemory_v2)
rates = n.nvmlDeviceGetUtilizationRates(device)
text = lambda value: value.decode() if isinstance(value, bytes) else value
uuid = n.nvmlDeviceGetUUID(device)
print(json.dumps({
    'count': n.nvmlDeviceGetCount(), 'name': text(n.nvmlDeviceGetName(device)), 'uuid': text(uuid),
    'total': memory.total, 'used': memory.used, 'second': second.total, 'bus': text(n.nvmlDeviceGetPciInfo(device).busId),
    'capability': n.nvmlDeviceGetCudaComputeCapability(device), 'index': n.nvmlDeviceGetIndex(device),
    'by_uuid': code(n.nvmlDeviceGetHandleByUUID, uuid), 'no_uuid': code(n.nvmlDeviceGetHandleByUUID, b'GPU-0'),
    'beyond': code(n.nvmlDeviceGetHandleByIndex, 7), 'power': code(n.nvmlDeviceGetPowerUsage, device),
    'utilization': [rates.gpu, rates.memory],
    'processes': code(n.nvmlDeviceGetComputeRunningProcesses, device),
    'reset': code(n.nvmlDeviceSetMigMode, device, 1), 'shutdown': code(n.nvmlShutdown), 'after': code(n.nvmlDeviceGetCount)}))
'''


class Tenant(unittest.TestCase):
    def run_program(self, environment: dict[str, str], program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, '-c', program], env=environment, capture_output=True, text=True, check=False)

    def test_the_slice_is_all_there_is(self) -> None:
        with loopback.running() as agent:
            done = self.run_program(agent.environment)
        self.assertEqual('', done.stderr)
        seen = json.loads(done.stdout)
        self.assertEqual((1, 'loop-back device', 'GPU-00112233-4455-6677-8899-aabbccddeeff', '00000000:01:00.0', [8, 6], 0), (
            seen['count'], seen['name'], seen['uuid'], seen['bus'], seen['capability'], seen['index']))
        self.assertEqual((loopback.LIMIT, loopback.LIMIT, 0), (seen['total'], seen['second'], seen['used']))
        self.assertEqual((0, 6, 2), (seen['by_uuid'], seen['no_uuid'], seen['beyond']))
        self.assertEqual([loopback.UTILIZATION, 0], seen['utilization'])
        # What would tell of others, or change the device, is not supported; a program has to expect that anyway.
        self.assertEqual((3, 3, 3), (seen['power'], seen['processes'], seen['reset']))
        self.assertEqual((0, 1), (seen['shutdown'], seen['after']))

    def test_without_an_attachment(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            done = self.run_program({'LD_LIBRARY_PATH': str(artefacts.client_library_dir('cuda')), 'HOME': place},
                                    'import pynvml as n\ntry:\n    n.nvmlInit()\nexcept n.NVMLError as e:\n    print(e.value)')
        self.assertEqual('9', done.stdout.strip(), done.stderr)

    def test_every_function_that_the_binding_asks_for_is_exported(self) -> None:
        wanted = set(re.findall(r'_nvmlGetFunctionPointer\("(\w+)"\)', pathlib.Path(pynvml.__file__).read_text()))
        library = artefacts.client_library_dir('cuda') / 'libnvidia-ml.so.1'
        exported = subprocess.run(['nm', '-D', '--defined-only', str(library)], capture_output=True, text=True, check=True)
        self.assertEqual(set(), wanted - set(exported.stdout.split()))
