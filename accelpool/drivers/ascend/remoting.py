# SPDX-License-Identifier: Apache-2.0
"""Serving devices: CANN's own libascendcl.so on the host, and the nodes that an AscendCL context opens."""

import os
import pathlib
from collections.abc import Iterable

from oslo_log import log as logging

from accelpool import errors
from accelpool.drivers import base
from accelpool.drivers.ascend import describe
from accelpool.remoting import artefacts
from accelpool.types import Device

LOG = logging.getLogger(__name__)

SONAME = 'libascendcl.so'
#: Where CANN's installer puts the runtime by default: the toolkit, or the runtime package alone.
HOMES = ('/usr/local/Ascend/ascend-toolkit/latest', '/usr/local/Ascend/cann', '/usr/local/Ascend/nnrt/latest')
#: What a 310B has instead of shared virtual memory and a channel between host and device, as far as its driver does.
NODES_310B = ('davinci_manager_docker', 'svm0', 'ts_aisle', 'upgrade', 'sys', 'vdec', 'vpc', 'pngd', 'venc', 'log_drv',
              'acodec', 'ai', 'ao', 'vo', 'hdmi')
#: Why a vNPU has no sessions.
NO_SESSIONS = ('a vNPU of an Ascend chip cannot be used from another host: its node /dev/vdavinci* is for containers '
               'of its own host; ask for isolation shared or whole')


def library(directory: str | None) -> pathlib.Path:
    """Return the absolute path of CANN's libascendcl.so.

    Not looked for along LD_LIBRARY_PATH: there may be a client library of this pool.  What it needs in turn (the
    driver's libraries) the loader must find: their directories belong in /etc/ld.so.conf.d.

    :param directory: ``[ascend] library_dir``; None: ``lib64`` of ASCEND_HOME_PATH or of the installer's default
    :raises NotSupported: there is none
    """
    homes = (os.environ.get('ASCEND_HOME_PATH'), *HOMES)
    places = [pathlib.Path(directory)] if directory else [pathlib.Path(home, 'lib64') for home in homes if home]
    for place in places:
        if (place / SONAME).exists():
            return place / SONAME
    raise errors.NotSupported(
        f'{SONAME} of CANN was not found in {", ".join(map(str, places))}; install CANN (nnrt is enough), or name its '
        'directory in [ascend] library_dir')


def group_of(nodes: Iterable[str]) -> int | None:
    """Return the group that may open the nodes which not everybody may; None where there is none.

    Huawei's installer gives them to HwHiAiUser's, 0660.  Root's group is never it.  Where they are of several groups,
    it is that of the first.
    """
    found: dict[int, str] = {}
    for node in nodes:
        try:
            status = os.stat(node)
        except OSError:
            continue  # an older driver has not all of them
        closed = status.st_mode & 0o006 != 0o006
        if closed and status.st_mode & 0o060 == 0o060 and status.st_gid:
            found.setdefault(status.st_gid, node)
    if len(found) > 1:
        LOG.warning('Sessions are in the group of the first of %s only: give the nodes one group',
                    ', '.join(found.values()))
    return next(iter(found), None)


def nodes_of(device: Device, root: pathlib.Path) -> tuple[str, ...]:
    """Return the device nodes that a session on a chip opens: its own, and those of its family.

    What not every release of a family's driver has is only named where it is there.  Which family has which is that of
    MindCluster (component/ascend-common/cdi/devnode.go).

    :param root: of the file system with ``dev``
    """
    place, pci = root / 'dev', device.options['pci_id']
    always, optional = ['davinci_manager', 'devmm_svm', 'hisi_hdc'], ['dvpp_cmdlist']
    if pci == describe.A310B:
        always, optional = ['davinci_manager'], ['dvpp_cmdlist', *NODES_310B]
    elif pci in describe.A5:
        always, optional = ['davinci_manager', 'hisi_hdc'], []
    found = [place / f'davinci{device.options["phy_id"]}', *(place / name for name in always)]
    found += [place / name for name in optional if (place / name).exists()]
    for fabric in ('uburma', 'ummu'):  # unified bus
        found += sorted((place / fabric).glob('*'))
    return tuple(map(str, found))


class AscendRemoting(base.Remoting):
    """AscendCL's runtime interface."""

    def __init__(self, directory: str | None, root: pathlib.Path = pathlib.Path('/')) -> None:
        """
        :param directory: ``[ascend] library_dir``
        :param root: where device nodes are looked for
        """
        self._directory = directory
        self._root = root

    def endpoint(self, device: Device) -> base.Endpoint:
        """A session sees one chip."""
        nodes = nodes_of(device, self._root)
        return base.Endpoint(
            interface='acl', library=str(library(self._directory)),
            env={'ASCEND_RT_VISIBLE_DEVICES': str(device.options['logic_id']),
                 'ASCEND_GLOBAL_LOG_LEVEL': '3', 'ASCEND_SLOG_PRINT_TO_STDOUT': '0'},
            nodes=nodes, group=group_of(nodes))

    def no_sessions_on_vnpus(self) -> str:
        """Return why no session can be served from a vNPU; empty: one can, on an emulated device.

        CANN opens a chip by its number and node.  Nothing here presents a vNPU's node under the name that CANN would
        look for, so a worker would open the chip itself, or nothing.
        """
        try:
            emulated = library(self._directory).resolve() == artefacts.emulated_library('acl').resolve()
        except errors.NotSupported:
            emulated = False
        return '' if emulated else NO_SESSIONS
