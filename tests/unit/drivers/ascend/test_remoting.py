# SPDX-License-Identifier: Apache-2.0
"""How a session gets at an Ascend chip."""

import dataclasses
import os
import pathlib
import tempfile
import unittest
from unittest import mock

from accelpool import errors
from accelpool.conductor.slices import Slices
from accelpool.drivers import base
from accelpool.drivers.ascend import remoting
from accelpool.remoting import artefacts
from accelpool.types import Device, Slice

DEVICE = Device(id='d', driver='ascend', vendor='huawei', model='Ascend910B3', memory=65536,
                options={'logic_id': 2, 'phy_id': 5, 'pci_id': '19e5:d802'})


class Remoting(unittest.TestCase):
    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_a_session_sees_one_chip(self) -> None:
        (self.place / 'libascendcl.so').touch()
        endpoint = remoting.AscendRemoting(str(self.place)).endpoint(DEVICE)
        self.assertEqual(('acl', str(self.place / 'libascendcl.so')), (endpoint.interface, endpoint.library))
        self.assertEqual('2', endpoint.env['ASCEND_RT_VISIBLE_DEVICES'])
        self.assertEqual('/dev/davinci5', endpoint.nodes[0])

    def test_cann_is_found_by_its_home_and_not_by_the_loader_path(self) -> None:
        (self.place / 'lib64').mkdir()
        (self.place / 'lib64/libascendcl.so').touch()
        with mock.patch.dict('os.environ', {'ASCEND_HOME_PATH': str(self.place)}):
            self.assertEqual(self.place / 'lib64/libascendcl.so', remoting.library(None))

    def test_each_family_has_its_nodes(self) -> None:
        """Those that only some releases of its driver have are named where they are."""
        present = ('dvpp_cmdlist', 'svm0', 'davinci_manager_docker', 'venc')
        for pci, always, optional in (
                ('19e5:d500', {'davinci_manager', 'devmm_svm', 'hisi_hdc'}, {'dvpp_cmdlist'}),
                ('19e5:d802', {'davinci_manager', 'devmm_svm', 'hisi_hdc'}, {'dvpp_cmdlist'}),
                ('19e5:d105', {'davinci_manager'}, set(present)),
                ('19e5:d806', {'davinci_manager', 'hisi_hdc'}, {'uburma/udma0', 'ummu/tid'})):
            with self.subTest(pci), tempfile.TemporaryDirectory() as place:
                device = dataclasses.replace(DEVICE, options={**DEVICE.options, 'pci_id': pci})
                dev = pathlib.Path(place, 'dev')
                dev.mkdir()
                self.assertEqual({'davinci5', *always}, {
                    node.removeprefix(f'{dev}/') for node in remoting.nodes_of(device, pathlib.Path(place))})
                for name in (*present, *(() if pci != '19e5:d806' else ('uburma/udma0', 'ummu/tid'))):
                    (dev / name).parent.mkdir(exist_ok=True)
                    (dev / name).touch()
                self.assertEqual({'davinci5', *always, *optional}, {
                    node.removeprefix(f'{dev}/') for node in remoting.nodes_of(device, pathlib.Path(place))})

    def nodes(self, **modes: tuple[int, int]) -> int | None:
        """Make nodes of a mode and a group; return the group that a session is told."""
        (self.place / 'libascendcl.so').touch()
        (self.place / 'dev').mkdir(exist_ok=True)
        for name, (mode, group) in modes.items():
            node = self.place / 'dev' / name
            node.touch()
            os.chown(node, 0, group)
            node.chmod(mode)
        return remoting.AscendRemoting(str(self.place), self.place).endpoint(DEVICE).group

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_a_session_is_in_the_group_of_the_nodes(self) -> None:
        self.assertIsNone(self.nodes())
        self.assertIsNone(self.nodes(davinci5=(0o660, 0)))
        self.assertIsNone(self.nodes(davinci5=(0o666, 54321)))
        self.assertIsNone(self.nodes(davinci5=(0o600, 54321), davinci4=(0o660, 54322)))  # another chip's
        self.assertEqual(54321, self.nodes(davinci5=(0o666, 0), devmm_svm=(0o660, 54321)))
        self.assertEqual(54321, self.nodes(davinci5=(0o660, 54321), davinci_manager=(0o660, 54321)))
        with self.assertLogs('accelpool.drivers.ascend.remoting', 'WARNING'):
            self.assertEqual(54321, self.nodes(hisi_hdc=(0o660, 54322)))

    def test_the_agent_is_told_the_group_and_why_there_are_no_sessions(self) -> None:
        agent, driver = mock.Mock(), mock.Mock()
        driver.need_slicing().carve.return_value = base.Carved(slice_id='s', device_id='d', no_sessions='it has none')
        driver.need_remoting().endpoint.return_value = base.Endpoint(interface='acl', library='/l', group=54321)
        wanted = Slice(id='s', allocation_id='a', device_id='d', host='h', compute=10, memory=64)
        Slices({'ascend': driver}, agent).bind(wanted, DEVICE, 'p')
        told = agent.bind.call_args.args[2]
        self.assertEqual((54321, 'it has none'), (told['group'], told['no_sessions']))

    def test_a_vnpu_has_sessions_on_an_emulated_device_only(self) -> None:
        driver = remoting.AscendRemoting(str(self.place))
        self.assertEqual(remoting.NO_SESSIONS, driver.no_sessions_on_vnpus())
        (self.place / 'libascendcl.so').touch()
        self.assertEqual(remoting.NO_SESSIONS, driver.no_sessions_on_vnpus())
        (self.place / 'libascendcl.so').unlink()
        (self.place / 'libascendcl.so').symlink_to(artefacts.emulated_library('acl'))
        with mock.patch.object(pathlib.Path, 'exists', return_value=True):  # the native parts may not be built
            self.assertEqual('', driver.no_sessions_on_vnpus())

    def test_a_host_without_cann_is_told_what_to_do(self) -> None:
        with self.assertRaisesRegex(errors.NotSupported, 'library_dir'):
            remoting.AscendRemoting(str(self.place)).endpoint(DEVICE)
