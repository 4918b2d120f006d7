# SPDX-License-Identifier: Apache-2.0
"""Options of the emulated devices: the section ``[mock:<host>]`` of each host that has some.

The sections' names are not known beforehand, so :func:`for_host` registers one when its driver is loaded;
``[mock]`` itself holds the defaults for hosts without a section of their own.
"""

from oslo_config import cfg

GROUP = 'mock'

OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        'devices', default=[],
        help='Emulated devices, each model:memory:count with any of :trait=NAME (again for more), :numa=N, '
             ':fabric=NAME, :cc=MAJOR.MINOR, :sm=N, :attach=pci|mdev, :api=cuda|acl and :soc=NAME behind it.  For '
             'example '
             'gpu-emu:30GiB:2:numa=0:fabric=rack-1, gpu-emu-b:16GiB:1:trait=CUSTOM_FAST, npu-emu:30GiB:1.  '
             'Models whose names start with npu are Ascend devices (api=acl).  Memory is in MiB or GiB; nothing is '
             'reserved before a program touches it.'),
    cfg.StrOpt(
        'health_file', default=None, sample_default="mock-health.json in the host's state directory",
        help='JSON object that makes devices ill while the service runs: {"<device id>": "failed"} or '
             '{"<device id>": {"health": "degraded", "reason": "..."}}; "missing" unplugs the device.  '
             'A device that it does not name is well.'),
]


def for_host(host: str, conf: cfg.ConfigOpts = cfg.CONF) -> tuple[list[str], str | None]:
    """Return ``devices`` and ``health_file`` of one host; what its section lacks, ``[mock]`` says."""
    own = f'{GROUP}:{host}'
    conf.register_opts(OPTS, group=GROUP)
    conf.register_opts(OPTS, group=own)
    return conf[own].devices or conf[GROUP].devices, conf[own].health_file or conf[GROUP].health_file
