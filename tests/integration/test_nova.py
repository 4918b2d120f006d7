# SPDX-License-Identifier: Apache-2.0
"""Instances of an unmodified Nova that have slices: their whole life, and what can go wrong in it."""

import time
import unittest
import uuid
from typing import Any

from tests.integration import support
from tests.integration.support.client import Client
from tests.integration.support.nova import Cloud, wait_for
from tools.integration import layout


def setUpModule() -> None:
    support.up('compute')


REMOTE = {'accel:compute': '10', 'accel:memory': '256'}
PCI = {'accel:isolation': 'whole', 'accel:model': 'gpu-pci', 'accel:locality': 'host'}
MDEV = {'accel:isolation': 'partition', 'accel:model': 'gpu-mdev', 'accel:template': 'emulated-quarter',
        'accel:locality': 'host'}


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
        flavor = self.flavor('mdev', MDEV)
        server, (arq,) = self.active(flavor, 'compute1')
        hypervisor = support.service('nova-compute-compute1')
        (service,) = self.cloud.compute.get('/os-services?host=compute1&binary=nova-compute').json()['services']
        hypervisor.kill()
        # Nova takes the host back when its compute service has come again and cleared up what was evacuated.
        self.addCleanup(wait_for, lambda: self.forced_down(service['id'], False), bool)
        self.addCleanup(hypervisor.start)
        self.assertTrue(self.forced_down(service['id'], True))
        self.assertEqual(200, self.cloud.act(server, evacuate={'host': 'compute2'}))
        self.cloud.wait(server, 'ACTIVE')
        (again,) = wait_for(lambda: self.cloud.arqs(server), lambda seen: [one['hostname'] for one in seen] == ['compute2'])
        self.assertEqual(('Bound', 'MDEV'), (again['state'], again['attach_handle_type']))
        self.assertNotEqual(arq['attach_handle_uuid'], again['attach_handle_uuid'])
        self.assertEqual(['compute2'], [one['slices'][0]['host'] for one in self.held(server)])

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

    def test_an_instance_that_nova_deletes_while_the_api_is_away_leaves_nothing(self) -> None:
        server, _ = self.active(self.flavor('remote', REMOTE))
        api = support.service('accelpool')
        api.stop()
        self.cloud.compute.delete(f'/servers/{server}')
        self.cloud.wait(server, 'DELETED')
        api.start()
        self.gone(server)

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
