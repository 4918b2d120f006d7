# SPDX-License-Identifier: Apache-2.0
"""A session through NVIDIA's library, from the request to the program."""

import subprocess
import sys

from accelpool.types import Isolation
from tests.hardware import host, support

#: MiB and percent of the slice.
MEMORY, COMPUTE = 256, 30

NVML = """
import json, pynvml as n
def code(call, *arguments):
    try:
        call(*arguments)
    except n.NVMLError as error:
        return error.value
    return 0
text = lambda value: value.decode() if isinstance(value, bytes) else value
n.nvmlInit()
device = n.nvmlDeviceGetHandleByIndex(0)
memory = n.nvmlDeviceGetMemoryInfo(device)
print(json.dumps({
    'count': n.nvmlDeviceGetCount(), 'name': text(n.nvmlDeviceGetName(device)), 'uuid': text(n.nvmlDeviceGetUUID(device)),
    'address': text(n.nvmlDeviceGetPciInfo(device).busId)[-12:].lower(), 'mib': memory.total >> 20, 'used': memory.used,
    'capability': '.'.join(map(str, n.nvmlDeviceGetCudaComputeCapability(device))),
    'refused': [code(n.nvmlDeviceGetPowerUsage, device), code(n.nvmlDeviceGetComputeRunningProcesses, device),
                code(n.nvmlDeviceSetMigMode, device, 1)]}))
"""

CUDA = """
import json, sys
sys.path.insert(0, sys.argv[1])
import cuda_driver as cuda
cuda.start()
total, data = cuda.memory()[1], bytes(range(256)) * 4096
here = cuda.allocate(len(data))
cuda.write(here, data)
same = cuda.read(here, len(data)) == data
cuda.free(here)
cuda.allocate(total)
try:
    cuda.allocate(256)
except cuda.CudaError as error:
    print(json.dumps({'same': same, 'mib': total >> 20, 'more': error.code}))
"""


class Session(host.HostCase):
    def setUp(self) -> None:
        super().setUp()
        self.offering(Isolation.SHARED)
        self.pool = support.Pool(support.nvidia(self.libraries))
        self.addCleanup(self.pool.close)

    def run_program(self, program: str, *words: object) -> dict[str, object]:
        self.pool.wait_until_well()
        done = subprocess.run(
            self.pool.cli('run', '--consumer-host', support.HOST, '--isolation', 'shared', '--compute', COMPUTE, '--memory',
                          MEMORY, '--', sys.executable, '-c', program, *words),
            env=self.pool.environment, capture_output=True, text=True, timeout=180, check=False)
        return support.answer(done.stdout, done.stderr)

    def test_a_tenant_sees_its_slice_and_can_use_all_of_it(self) -> None:
        seen = self.run_program(NVML)
        gpu = next(gpu for gpu in self.said().findall('gpu') if gpu.findtext('uuid') == seen['uuid'])
        device = self.devices()[str(seen['uuid'])]
        self.assertEqual({
            'count': 1, 'name': gpu.findtext('product_name'), 'uuid': gpu.findtext('uuid'),
            'address': gpu.get('id', '').lower()[-12:], 'mib': MEMORY, 'used': 0, 'capability': device.options['cc'],
            'refused': [3, 3, 3]}, seen)
        self.assertEqual({'same': True, 'mib': MEMORY, 'more': 2},
                         self.run_program(CUDA, support.ROOT / 'examples'))
