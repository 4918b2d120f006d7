# SPDX-License-Identifier: Apache-2.0
"""Where a session's libcuda.so.1 comes from."""

import pathlib
import subprocess
import tempfile
import unittest
from unittest import mock

from accelpool import errors
from accelpool.conductor.slices import Slices
from accelpool.drivers import base
from accelpool.drivers.nvidia import remoting
from accelpool.types import Device, Slice

DEVICE = Device(id='d', driver='nvidia', vendor='nvidia', model='L4', memory=23034,
                options={'uuid': 'GPU-1', 'minor': 3})


class Remoting(unittest.TestCase):
    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def put(self, name: str) -> pathlib.Path:
        """Make a library; return its path."""
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    def cached(self, *lines: str, **failure: object) -> pathlib.Path:
        """Look for the library where the loader's cache is these lines."""
        text = f'{len(lines)} libs found in cache `/etc/ld.so.cache\'\n' + ''.join(f'\t{line}\n' for line in lines)
        answer = failure or {'return_value': subprocess.CompletedProcess([], 0, stdout=text, stderr='')}
        with mock.patch('subprocess.run', **answer) as ran:
            try:
                return remoting.library(None)
            finally:
                self.assertEqual(['/sbin/ldconfig', '-p'], ran.call_args.args[0])

    def test_the_systems_loader_knows_where_it_is(self) -> None:
        found = self.put('64/libcuda.so.1')
        self.assertEqual(found, self.cached(
            f'libcudart.so.1 (libc6,x86-64) => {self.put("64/libcudart.so.1")}',
            f'libcuda.so (libc6,x86-64) => {self.put("64/libcuda.so")}',
            f'libcuda.so.1 (libc6) => {self.put("32/libcuda.so.1")}',
            f'libcuda.so.1 (libc6,x86-64) => {self.place / "removed/libcuda.so.1"}',
            f'libcuda.so.1 (libc6,x86-64) => {found}',
            f'libcuda.so.1 (libc6,x86-64) => {self.put("later/libcuda.so.1")}'))

    def test_a_client_library_of_the_pool_is_not_taken_for_it(self) -> None:
        client = self.put('client/libcuda.so.1')
        with mock.patch.dict('os.environ', {'LD_LIBRARY_PATH': str(client.parent)}), \
                self.assertRaises(errors.NotSupported):
            self.cached()

    def test_a_host_without_it_is_told_what_to_do(self) -> None:
        message = r'install the driver, or name its directory in \[nvidia\] library_dir'
        with self.assertRaisesRegex(errors.NotSupported, message):
            self.cached(f'libcuda.so.1 (libc6) => {self.put("32/libcuda.so.1")}')
        for error in (FileNotFoundError(), subprocess.TimeoutExpired('ldconfig', 10),
                      subprocess.CalledProcessError(1, 'ldconfig')):
            with self.subTest(error), self.assertRaisesRegex(errors.NotSupported, message):
                self.cached(side_effect=error)

    def test_a_directory_that_an_operator_names_is_the_only_one(self) -> None:
        with mock.patch('subprocess.run') as ran:
            with self.assertRaisesRegex(errors.NotSupported, 'library_dir'):
                remoting.library(str(self.place))
            found = self.put('libcuda.so.1')
            self.assertEqual(found, remoting.library(str(self.place)))
        ran.assert_not_called()

    def test_a_session_sees_one_device(self) -> None:
        found = self.put('libcuda.so.1')
        endpoint = remoting.NvidiaRemoting(str(self.place)).endpoint(DEVICE)
        self.assertEqual(('cuda', str(found)), (endpoint.interface, endpoint.library))
        self.assertEqual(('GPU-1', '1'), (endpoint.env['CUDA_VISIBLE_DEVICES'], endpoint.env['CUDA_CACHE_DISABLE']))
        self.assertEqual(('/dev/nvidia3', '/dev/nvidiactl'), endpoint.nodes[:2])

    def test_a_node_that_is_missing_is_missed_where_the_device_has_one(self) -> None:
        self.put('libcuda.so.1')
        driver = remoting.NvidiaRemoting(str(self.place), root=self.place)
        self.assertEqual('', driver.endpoint(DEVICE).remedy)
        self.put('dev/nvidia3')
        endpoint = driver.endpoint(DEVICE)
        self.assertIn('nvidia-modprobe -c 0 -u', endpoint.remedy)
        agent, nvidia = mock.Mock(), mock.Mock()
        nvidia.need_slicing().carve.return_value = base.Carved(slice_id='s', device_id='d', nodes=('/dev/nvidia-cap1',))
        nvidia.need_remoting().endpoint.return_value = endpoint
        Slices({'nvidia': nvidia}, agent).bind(
            Slice(id='s', allocation_id='a', device_id='d', host='h', compute=10, memory=64), DEVICE, 'p')
        told = agent.bind.call_args.args[2]
        self.assertEqual((endpoint.remedy, [*endpoint.nodes, '/dev/nvidia-cap1']), (told['remedy'], told['nodes']))
