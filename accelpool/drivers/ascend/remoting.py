# SPDX-License-Identifier: Apache-2.0
"""Serving devices: CANN's own libascendcl.so on the host, and the nodes that an AscendCL context opens."""

import os
import pathlib

from accelpool import errors
from accelpool.drivers import base
from accelpool.remoting import artefacts
from accelpool.types import Device

SONAME = 'libascendcl.so'
#: Where CANN's installer puts the runtime by default: the toolkit, or the runtime package alone.
HOMES = ('/usr/local/Ascend/ascend-toolkit/latest', '/usr/local/Ascend/cann', '/usr/local/Ascend/nnrt/latest')
#: What every session opens beside the chip's own node: management, shared virtual memory, host-device channel.
COMMON_NODES = ('/dev/davinci_manager', '/dev/devmm_svm', '/dev/hisi_hdc')
#: Why a vNPU has no sessions.
NO_SESSIONS = ('a vNPU of an Ascend chip cannot be used from another host: its node /dev/vdavinci* is for containers of '
               'its own host; ask for isolation shared or whole')


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


class AscendRemoting(base.Remoting):
    """AscendCL's runtime interface."""

    def __init__(self, directory: str | None) -> None:
        """:param directory: ``[ascend] library_dir``"""
        self._directory = directory

    def endpoint(self, device: Device) -> base.Endpoint:
        """A session sees one chip."""
        return base.Endpoint(
            interface='acl', library=str(library(self._directory)),
            env={'ASCEND_RT_VISIBLE_DEVICES': str(device.options['logic_id']),
                 'ASCEND_GLOBAL_LOG_LEVEL': '3', 'ASCEND_SLOG_PRINT_TO_STDOUT': '0'},
            nodes=(f'/dev/davinci{device.options["phy_id"]}', *COMMON_NODES))

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
