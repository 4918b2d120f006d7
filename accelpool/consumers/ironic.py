# SPDX-License-Identifier: Apache-2.0
"""What Ironic loads: deploy interfaces that bind and release slices, and hardware types that allow them.

A node gets a slice when its deployment names a profile: ``instance_info`` has ``accelpool_profile``, or a deploy
template gives the step ``accelpool_bind`` the argument ``profile`` (with Nova: a trait of the flavor).  The section
``[accelpool]`` of ironic.conf says how to reach the service, and whose allocations they are.
"""

import contextlib
import functools
import logging
import uuid
from typing import Any

from ironic.common import exception, states
from ironic.drivers import base, fake_hardware, ipmi, redfish
from ironic.drivers.modules import agent, fake
from oslo_config import cfg

from accelpool import ksa
from accelpool.consumers import baremetal

LOG = logging.getLogger(__name__)

GROUP = 'accelpool'
#: Key of the allocation's id in a node's driver_internal_info.
KEPT = 'accelpool_allocation'
#: Key of the profile in a node's instance_info.
PROFILE = 'accelpool_profile'
#: Before the image is written (80), so that a node without a slice is not written at all.
BIND_PRIORITY = 90
#: Before disks are erased, which takes long.
RELEASE_PRIORITY = 95


@functools.cache
def _slices() -> baremetal.Slices:
    """Return this process's client; ``cfg.CONF`` is Ironic's."""
    cfg.CONF.register_opts(ksa.options('accelpool'), group=GROUP)
    return baremetal.Slices(ksa.adapter(GROUP))


class _Steps:
    """The steps, for any deploy interface."""

    @base.deploy_step(priority=BIND_PRIORITY, argsinfo={'profile': {
        'description': "accelpool profile of the node's slices; default: instance_info/accelpool_profile",
        'required': False}})  # type: ignore[untyped-decorator]
    def accelpool_bind(self, task: Any, profile: str | None = None) -> None:
        """Bind slices to the node; nothing when no profile is named."""
        node = task.node
        wanted = profile or node.instance_info.get(PROFILE)
        if not wanted:
            return
        allocation = node.driver_internal_info.get(KEPT)
        if allocation is None:
            allocation = str(uuid.uuid4())
            node.set_driver_internal_info(KEPT, allocation)
            node.save()  # before it exists: a conductor that dies now finds it again
        try:
            _slices().bind(allocation, node.uuid, node.name, wanted)
        except baremetal.Failed as failure:
            with contextlib.suppress(baremetal.Failed):
                _release(node)  # the next attempt begins anew
            raise exception.InstanceDeployFailure(reason=str(failure)) from failure
        LOG.info('Node %s has allocation %s (profile %s)', node.uuid, allocation, wanted)

    @base.clean_step(priority=RELEASE_PRIORITY)  # type: ignore[untyped-decorator]
    def accelpool_release(self, task: Any) -> None:
        """Give back whatever the node still has, and wait until its memory has been erased."""
        try:
            _release(task.node)
        except baremetal.Failed as failure:
            raise exception.NodeCleaningFailure(node=task.node.uuid, reason=str(failure)) from failure

    def tear_down(self, task: Any) -> Any:
        """Give the slices back, also where nodes are not cleaned automatically."""
        try:
            _release(task.node)
        except baremetal.Failed as failure:
            if not _is_cleaned(task.node):
                raise exception.InstanceDeployFailure(reason=str(failure)) from failure
            LOG.warning('Node %s keeps its slices until it is cleaned: %s', task.node.uuid, failure)
        return super().tear_down(task)  # type: ignore[misc]


def _release(node: Any) -> None:
    kept = node.driver_internal_info.get(KEPT)
    found = {kept} if kept else set()
    if node.provision_state == states.CLEANING:
        found.update(_slices().of_node(node.uuid))  # also what others bound to it
    for allocation in sorted(found):
        _slices().release(allocation)
        LOG.info('Node %s has given back allocation %s', node.uuid, allocation)
    if kept is not None:
        node.del_driver_internal_info(KEPT)
        node.save()


def _is_cleaned(node: Any) -> bool:
    """Whether the node is cleaned after it has been torn down."""
    own = node.automated_clean
    return bool(cfg.CONF.conductor.automated_clean if own is None else own)


class DirectDeploy(_Steps, agent.AgentDeploy):  # type: ignore[misc]
    """``accelpool-direct``: Ironic's ``direct``, with slices."""


class FakeDeploy(_Steps, fake.FakeDeploy):  # type: ignore[misc]
    """``accelpool-fake``: for tests."""


class IPMIHardware(ipmi.IPMIHardware):  # type: ignore[misc]
    """``accelpool-ipmi``: Ironic's ``ipmi``, whose nodes may have slices."""

    @property
    def supported_deploy_interfaces(self) -> list[type]:
        return [DirectDeploy, *super().supported_deploy_interfaces]


class RedfishHardware(redfish.RedfishHardware):  # type: ignore[misc]
    """``accelpool-redfish``: Ironic's ``redfish``, whose nodes may have slices."""

    @property
    def supported_deploy_interfaces(self) -> list[type]:
        return [DirectDeploy, *super().supported_deploy_interfaces]


class FakeHardware(fake_hardware.FakeHardware):  # type: ignore[misc]
    """``accelpool-fake``: for tests."""

    @property
    def supported_deploy_interfaces(self) -> list[type]:
        return [FakeDeploy, *super().supported_deploy_interfaces]
