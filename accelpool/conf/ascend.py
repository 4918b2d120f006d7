# SPDX-License-Identifier: Apache-2.0
"""Options of the Ascend driver."""

from oslo_config import cfg

GROUP = 'ascend'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'library_dir', default=None, sample_default='lib64 of ASCEND_HOME_PATH or of the installer\'s default',
        help='Directory of libascendcl.so, which serves the sessions.'),
    cfg.StrOpt(
        'dcmi_dir', default=None, sample_default='where the driver installs it',
        help='Directory of libdcmi.so, which tells of the devices.'),
    cfg.StrOpt(
        'npu_smi', default='npu-smi',
        help='The program npu-smi: lists the vNPU templates of this host, and the chips where there is no libdcmi.so.'),
    cfg.FloatOpt(
        'npu_smi_deadline', default=10.0, min=0.1, help='Seconds that npu-smi may take for one chip.'),
    cfg.FloatOpt(
        'deadline', default=1.5, min=0.1,
        help='Seconds that a look at a chip may take.  A chip that takes longer is failed until it answers again; the '
             'conductor never waits longer.'),
    cfg.FloatOpt(
        'vnpu_deadline', default=30.0, min=0.1, help='Seconds that the creation or the end of a vNPU may take.'),
    cfg.FloatOpt(
        'retry_interval', default=10.0, min=0.1,
        help='Seconds after which a chip that did not answer is asked again.'),
    cfg.BoolOpt(
        'drain_foreign', default=True,
        help='Give no new slices on a chip that processes outside the pool use.'),
    cfg.StrOpt(
        'vnpu_mode', default=None, choices=['container', 'vm'], sample_default='as the host has it',
        help='What the vNPUs of this host are for.  It is changed only while there are none of the other mode; until '
             'then no new ones are made.'),
    cfg.StrOpt(
        'sysfs', default='/sys', help='Where sysfs is mounted: NUMA nodes, PCI functions, mediated devices.'),
]
