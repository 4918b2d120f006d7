# SPDX-License-Identifier: Apache-2.0
"""Instances of an unmodified Nova that have slices: their whole life, and what can go wrong in it."""

import json
import subprocess
import time
import unittest
import uuid
import xml.etree.ElementTree as et
from typing import Any

from tests.integration import support
from tests.integration.support.client import Client
from tests.integration.support.nova import Cloud, wait_for
from tools.integration import layout, pool


def setUpModule() -> None:
    support.up('compute')


REMOTE = {'accel:compute': '10', 'accel:memory': '256'}
PCI = {'accel:isolation': 'whole', 'accel:model': 'gpu-pci', 'accel:locality': 'host'}
MDEV = {'accel:isolation': 'partition', 'accel:model': 'gpu-mdev', 'accel:template': 'emulated-quarter',
        'accel:locality': 'host'}

#: Gives accelerator requests, as nova-compute reads them, to the code of Nova's libvirt driver that makes of them what
#: a guest gets.  In libvirt's place there is a host that names mediated devices as libvirt does.
LIBVIRT = """
import json, sys, types
import nova.conf
from nova.virt.libvirt import config, driver

class Absent(Exception):
    def get_error_code(self):
        return 43

class Host:
    made, names = [], set()
    def device_lookup_by_name(self, name):
        if name not in self.names:
            raise Absent(name)
    def device_create(self, device):
        self.made.append(device.to_xml())
        self.names.add('_'.join(['mdev', device.mdev_information.uuid.replace('-', '_'), device.parent[len('pci_'):]]))
    def device_define(self, device):
        return device
    def device_set_autostart(self, device, autostart):
        pass

driver.libvirt = types.SimpleNamespace(libvirtError=Absent, VIR_ERR_NO_NODE_DEVICE=43)
arqs, host, guest = json.load(sys.stdin), Host(), config.LibvirtConfigGuest()
one = object.__new__(driver.LibvirtDriver)
one._host, one.pgpu_type_mapping, one.pgpu_type_default = host, {}, None
nova.conf.CONF([], default_config_files=[])
for start in range(2):  # a guest that is started again has what it had
    mdevs = one._allocate_cyborg_mdevs(arqs)
one._guest_add_accel_pci_devices(guest, [arq for arq in arqs if arq['attach_handle_type'] == 'PCI'])
one._guest_add_mdevs(guest, mdevs)
json.dump({'made': host.made, 'devices': [device.to_xml() for device in guest.devices]}, sys.stdout)
"""


class Case(support.Case):
    """Everything that a test boots is deleted when it ends."""

    def setUp(self) -> None:
        super().setUp()
        self.cloud = Cloud()

    def flavor(self, kind: str, *groups: dict[str, Any]) -> str:
        return self.cloud.flavor(f'nova-{kind}', self.cloud.profile(f'nova-{kind}', *groups))

    def boot(self, flavor: str, host: str | None = None) -> str:
        server = self.cloud.boot(flavor, host)
        self.addCleanup(self.cloud.delete, server)
        return server

    def active(self, flavor: str, host: str | None = None) -> tuple[str, list[dict[str, Any]]]:
        """Boot an instance; returns it and its accelerator requests."""
        server = self.boot(flavor, host)
        self.cloud.wait(server, 'ACTIVE')
        return server, self.cloud.arqs(server)

    def held(self, server: str) -> list[dict[str, Any]]:
        """Return the live allocations of an instance."""
        found: list[dict[str, Any]] = Client('admin', 'admin').get(f'/allocations?consumer_id={server}')['allocations']
        return found

    def gone(self, server: str) -> None:
        wait_for(lambda: (self.cloud.arqs(server), self.held(server)), lambda seen: seen == ([], []))

    def unplaced(self, server: str) -> None:
        """Nova frees what an instance has in Placement some time after it is gone."""
        wait_for(lambda: self.cloud.placement.get(f'/allocations/{server}').json()['allocations'], lambda one: not one)


class Life(Case):
    def test_a_remote_slice_through_rebuild_shelving_and_deletion(self) -> None:
        server, (arq,) = self.active(self.flavor('remote', REMOTE))
        self.assertEqual(('Bound', 'REMOTE', server), (arq['state'], arq['attach_handle_type'], arq['instance_uuid']))
        (allocation,) = self.held(server)
        self.assertEqual(arq['attach_handle_info']['allocation'], allocation['id'])
        self.assertEqual('instance', allocation['consumer_type'])
        self.assertEqual(202, self.cloud.act(server, rebuild={'imageRef': self.cloud.image()}))
        self.cloud.wait(server, 'ACTIVE')
        self.assertEqual([arq['uuid']], [one['uuid'] for one in self.cloud.arqs(server)])
        self.assertEqual(202, self.cloud.act(server, shelve=None))
        self.cloud.wait(server, 'SHELVED_OFFLOADED')
        self.gone(server)
        self.assertEqual(202, self.cloud.act(server, unshelve=None))
        self.cloud.wait(server, 'ACTIVE')
        (again,) = self.cloud.arqs(server)
        self.assertEqual('Bound', again['state'])
        self.assertNotEqual(arq['uuid'], again['uuid'])
        self.cloud.delete(server)
        self.gone(server)

    def test_an_evacuated_instance_has_its_slice_on_the_other_host(self) -> None:
        server, before, after = self.evacuated(self.flavor('mdev', MDEV))
        self.assertEqual(('Bound', 'MDEV'), (after['state'], after['attach_handle_type']))
        self.assertNotEqual(before['attach_handle_uuid'], after['attach_handle_uuid'])
        self.assertEqual(['compute2'], [one['slices'][0]['host'] for one in self.held(server)])

    def test_an_evacuated_instance_reaches_a_remote_slice_from_the_other_host(self) -> None:
        server, before, after = self.evacuated(self.flavor('remote', REMOTE))
        self.assertEqual(('Bound', 'REMOTE'), (after['state'], after['attach_handle_type']))
        (allocation,) = self.held(server)  # the former one is given back
        self.assertEqual(('compute2', after['attach_handle_info']['allocation']),
                         (allocation['consumer_host'], allocation['id']))
        self.assertNotEqual(before['attach_handle_info'], after['attach_handle_info'])
        attachment = Client('admin', 'admin').ask('GET', f'/allocations/{allocation["id"]}/attachment')
        self.assertEqual(200, attachment.status_code, attachment.text)

    def evacuated(self, flavor: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return an instance that was evacuated to compute2, and its accelerator request before and after."""
        server, (before,) = self.active(flavor, 'compute1')
        hypervisor = support.service('nova-compute-compute1')
        (service,) = self.cloud.compute.get('/os-services?host=compute1&binary=nova-compute').json()['services']
        hypervisor.kill()
        # Nova takes the host back when its compute service has come again and cleared up what was evacuated.
        self.addCleanup(wait_for, lambda: self.forced_down(service['id'], False), bool)
        self.addCleanup(hypervisor.start)
        self.assertTrue(self.forced_down(service['id'], True))
        self.assertEqual(200, self.cloud.act(server, evacuate={'host': 'compute2'}))
        self.cloud.wait(server, 'ACTIVE')
        (after,) = wait_for(lambda: self.cloud.arqs(server), lambda seen: [one['hostname'] for one in seen] == ['compute2'])
        return server, before, after

    def forced_down(self, service: str, down: bool) -> bool:
        return bool(self.cloud.compute.put(f'/os-services/{service}', json={'forced_down': down}).status_code == 200)

    def test_two_slices_are_of_two_devices(self) -> None:
        server, arqs = self.active(self.flavor('pair', REMOTE, REMOTE))
        self.assertEqual([0, 1], [arq['device_profile_group_id'] for arq in arqs])
        devices = {one['slices'][0]['device_id'] for one in self.held(server)}
        self.assertEqual(2, len(devices))

    def test_a_profile_of_v1_is_all_that_an_operator_makes(self) -> None:
        name = f'nova-{uuid.uuid4()}'
        made = Client('admin', 'admin').ask('POST', '/profiles', {'name': name, 'compute': 5, 'memory': 128})
        self.assertEqual(201, made.status_code, made.text)
        _, (arq,) = self.active(self.cloud.flavor(name, name))
        self.assertEqual(('Bound', name), (arq['state'], arq['device_profile_name']))

    def test_on_both_hosts_a_part_of_a_local_device_is_a_mediated_device(self) -> None:
        flavor = self.flavor('mdev', MDEV)
        for host in layout.COMPUTES:
            _, (arq,) = self.active(flavor, host)
            self.assertEqual(('Bound', 'MDEV', host), (arq['state'], arq['attach_handle_type'], arq['hostname']))
            self.assertEqual({'domain': '0000', 'bus': '04', 'device': '00', 'function': '0',
                              'asked_type': 'emulated-quarter'}, arq['attach_handle_info'])
            self.assertTrue(uuid.UUID(arq['attach_handle_uuid']))

    def test_libvirts_driver_reads_the_handles(self) -> None:
        _, arqs = self.active(self.flavor('three', PCI, MDEV, REMOTE))
        identifier = next(arq['attach_handle_uuid'] for arq in arqs if arq['attach_handle_type'] == 'MDEV')
        run = subprocess.run([layout.VENV / 'bin/python', '-c', LIBVIRT], input=json.dumps(arqs), text=True,
                             capture_output=True, timeout=120)
        self.assertEqual(0, run.returncode, run.stderr)
        read = json.loads(run.stdout)
        pci, mdev = (et.fromstring(one) for one in read['devices'])  # nothing of the remote slice
        self.assertEqual(('hostdev', 'pci', 'yes'), (pci.tag, pci.get('type'), pci.get('managed')))
        self.assertEqual({'domain': '0x0000', 'bus': '0x03', 'slot': '0x00', 'function': '0x0'},
                         pci.find('source/address').attrib)
        self.assertEqual(('hostdev', 'mdev'), (mdev.tag, mdev.get('type')))
        self.assertEqual({'uuid': identifier}, mdev.find('source/address').attrib)
        (made,) = (et.fromstring(one) for one in read['made'])
        self.assertEqual(('pci_0000_04_00_0', 'emulated-quarter', identifier), (
            made.findtext('parent'), made.find('capability/type').get('id'), made.findtext('capability/uuid')))

    def test_whole_local_devices_are_pci_functions_until_there_are_no_more(self) -> None:
        flavor = self.flavor('pci', PCI)
        hosts = set()
        for _ in layout.COMPUTES:
            server, (arq,) = self.active(flavor)
            hosts.add(arq['hostname'])
            self.assertEqual(('PCI', {'domain': '0000', 'bus': '03', 'device': '00', 'function': '0'}),
                             (arq['attach_handle_type'], arq['attach_handle_info']))
        self.assertEqual(set(layout.COMPUTES), hosts)
        third = self.boot(flavor)
        self.cloud.wait(third, 'ERROR')
        fault = wait_for(lambda: self.cloud.server(third).get('fault'), bool)  # Nova notes it after the state
        self.assertIn('No valid host', fault['message'])
        self.assertEqual([], self.cloud.arqs(third))
        self.cloud.delete(server)
        # Placement offers the device again when it has been given back, which its next comparison shows.
        wait_for(lambda: self.cloud.placement.get(
            '/allocation_candidates?resources=VCPU:1&resources1=CUSTOM_ACCELPOOL_COMPUTE:100'
            '&required1=CUSTOM_ACCELPOOL_MODEL_GPU_PCI').json()['allocation_requests'], bool)
        self.active(flavor)


class Trouble(Case):
    def test_what_placement_cannot_know_fails_the_binding_and_says_why(self) -> None:
        flavor = self.flavor('nobody', {**REMOTE, 'accel:any_traits': 'CUSTOM_NOBODY,CUSTOM_HAS'})
        server = self.boot(flavor)
        self.cloud.wait(server, 'ERROR')
        self.gone(server)
        (record,) = Client('admin', 'admin').get(
            f'/allocations?consumer_id={server}&state=released')['allocations']
        self.assertIn('CUSTOM_NOBODY', record['reason'])
        self.cloud.delete(server)
        self.unplaced(server)

    def test_a_promise_that_fragmentation_has_broken_fails_the_binding_and_says_why(self) -> None:
        """Nearly all memory of one device is taken, and nearly all compute of the other one of its kind."""
        flavor = self.flavor('lopsided', {'accel:compute': '50', 'accel:memory': '15000', 'accel:model': 'gpu-emu'})
        user = Client('admin', 'admin')
        for host, request in (('compute1', {'compute': 1, 'memory': 29000}), ('compute2', {'compute': 99, 'memory': 512})):
            taken = user.allocate(model='gpu-emu', locality='host', consumer_host=host, **request)
            self.addCleanup(user.release, taken['id'])
            self.assertEqual([host], [one['host'] for one in user.wait(taken['id'], 'active')['slices']])
        wait_for(self.candidates, lambda found: found)  # what both took is known there
        server = self.boot(flavor)
        self.cloud.wait(server, 'ERROR')
        self.gone(server)
        self.assertTrue(self.candidates())  # it was not for want of a candidate
        (record,) = user.get(f'/allocations?consumer_id={server}&state=released')['allocations']
        for reason in ('MiB of its memory is free, less than 15000 MiB', '1 % of its compute is free, less than 50 %'):
            self.assertIn(reason, record['reason'])
        self.cloud.delete(server)
        self.unplaced(server)

    def candidates(self) -> list[Any]:
        """Return what Placement offers for the lopsided flavor, once it knows what is taken."""
        offered = self.cloud.placement.get(
            '/allocation_candidates?resources=VCPU:1&resources1=CUSTOM_ACCELPOOL_COMPUTE:50,CUSTOM_ACCELPOOL_MEMORY_MIB:15000'
            '&required1=CUSTOM_ACCELPOOL_MODEL_GPU_EMU').json()
        used = [one['resources'] for one in offered['provider_summaries'].values()
                if 'CUSTOM_ACCELPOOL_COMPUTE' in one['resources']]
        known = all(one['CUSTOM_ACCELPOOL_COMPUTE']['capacity'] <= 100 for one in used)
        return list(offered['allocation_requests']) if known else []

    def test_nova_waits_for_a_host_that_carves_late(self) -> None:
        conductor = support.service('accelpool-conductor-compute1')
        flavor = self.flavor('mdev', MDEV)
        conductor.kill()
        server = self.boot(flavor, 'compute1')
        (arq,) = wait_for(lambda: self.cloud.arqs(server), bool)
        self.assertEqual(('BindStarted', ''), (arq['state'], arq['attach_handle_type']))
        self.assertEqual(423, self.cloud.accelerator.get(
            f'/accelerator_requests?instance={server}&bind_state=resolved').status_code)
        self.assertEqual('BUILD', self.cloud.server(server)['status'])
        conductor.start()
        self.cloud.wait(server, 'ACTIVE')
        (arq,) = self.cloud.arqs(server)
        self.assertEqual(('Bound', 'MDEV'), (arq['state'], arq['attach_handle_type']))

    def test_nova_that_takes_no_event_for_a_while_gets_it_later(self) -> None:
        conductor, nova = support.service('accelpool-conductor-compute1'), support.service('nova')
        flavor = self.flavor('mdev', MDEV)
        conductor.kill()
        server = self.boot(flavor, 'compute1')
        wait_for(lambda: self.cloud.arqs(server), bool)
        nova.kill()
        self.addCleanup(nova.start)
        conductor.start()
        wait_for(lambda: self.held(server)[0]['state'], lambda state: state == 'active')
        time.sleep(5)  # for several attempts
        nova.start()
        self.cloud.wait(server, 'ACTIVE')
        self.assertEqual(['Bound'], [arq['state'] for arq in self.cloud.arqs(server)])

    def test_a_binding_that_fails_late_is_an_event_and_no_instance_without_a_device(self) -> None:
        conductor = support.service('accelpool-conductor-compute1')
        flavor = self.flavor('mdev', MDEV)
        conductor.kill()
        server = self.boot(flavor, 'compute1')
        wait_for(lambda: self.cloud.arqs(server), bool)
        (allocation,) = self.held(server)
        Client('admin', 'admin').release(allocation['id'])
        self.cloud.wait(server, 'ERROR')
        conductor.start()
        self.gone(server)

    def test_novas_notification_of_an_instance_that_it_deletes_while_the_api_is_away_heals(self) -> None:
        self.without_comparison()
        server, _ = self.active(self.flavor('remote', REMOTE))
        api = support.service('accelpool')
        api.stop()
        self.cloud.compute.delete(f'/servers/{server}')
        self.cloud.wait(server, 'DELETED')
        api.start()
        self.gone(server)

    def without_comparison(self) -> None:
        """Only Nova's notifications tell the schedulers that an instance is gone."""
        for name, scheduler in pool.SCHEDULER.items():
            config = layout.ETC / f'accelpool/{name}.conf'
            before = config.read_text()
            scheduler.stop()
            self.addCleanup(scheduler.start)
            self.addCleanup(config.write_text, before)
            self.addCleanup(scheduler.stop)
            config.write_text(f'{before}[nova]\ncompare_interval = 86400\n')
            scheduler.start()

    def test_what_belongs_to_no_instance_is_given_back(self) -> None:
        stranger = str(uuid.uuid4())
        self.flavor('remote', REMOTE)
        (arq,) = self.cloud.accelerator.post(
            '/accelerator_requests', json={'device_profile_name': 'nova-remote'}).json()['arqs']
        provider = next(one['uuid'] for one in self.cloud.placement.get(
            '/resource_providers?required=CUSTOM_OWNER_ACCELPOOL,MISC_SHARES_VIA_AGGREGATE').json()['resource_providers'])
        bound = self.cloud.accelerator.patch('/accelerator_requests', headers=self.cloud.service, json={arq['uuid']: [
            {'op': 'add', 'path': '/hostname', 'value': 'compute1'},
            {'op': 'add', 'path': '/device_rp_uuid', 'value': provider},
            {'op': 'add', 'path': '/instance_uuid', 'value': stranger}]})
        self.assertEqual(202, bound.status_code, bound.text)
        self.assertEqual(1, len(self.held(stranger)))
        self.gone(stranger)


if __name__ == '__main__':
    unittest.main()
