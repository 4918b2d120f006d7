# SPDX-License-Identifier: Apache-2.0
"""Options of the NVIDIA driver."""

from oslo_config import cfg

GROUP = 'nvidia'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'library_dir', default=None, sample_default='where the dynamic loader finds them',
        help='Directory of libnvidia-ml.so.1 and libcuda.so.1, for drivers that are installed in an unusual place.'),
    cfg.FloatOpt(
        'deadline', default=1.25, min=0.1,
        help='Seconds that a call of NVML may take.  A device that does not answer within twice that is failed until '
             'it does; the conductor never waits longer.'),
    cfg.FloatOpt(
        'open_deadline', default=60.0, min=3.0,
        help='Seconds that opening NVML may take.  The driver initialises each GPU then if nothing else holds it: '
             'up to four seconds for each where nvidia-persistenced does not run.  When no further GPU is ready within '
             '6 s the rest is not waited for, so that one that hangs keeps nobody from the others.'),
    cfg.FloatOpt(
        'mig_deadline', default=30.0, min=0.1,
        help='Seconds that the creation or the end of a MIG instance may take.  Where it takes longer its device is '
             'failed for retry_interval; other devices are cut meanwhile.'),
    cfg.FloatOpt(
        'retry_interval', default=10.0, min=0.1,
        help='Seconds after which a device that did not answer is asked again, and a driver that failed is opened '
             'again.'),
    cfg.BoolOpt(
        'drain_foreign', default=True,
        help='Give no new slices on a device that processes outside the pool use: they take memory and time that '
             'the pool would sell twice.'),
    cfg.StrOpt(
        'host_memory_access', default='refuse', choices=[
            ('refuse', 'no session is served there'),
            ('allow', 'sessions are served, and their programs are trusted not to reach into their workers')],
        help='What becomes of sessions where kernels reach all memory of their process: HMM, which the open kernel '
             'modules have with CUDA 12.2 and later on recent kernels, and ATS (Grace).  A tenant\'s kernel can read '
             'and write the worker of its session then, and so pass by its limits.  A worker asks its driver to do '
             'without first.  "options nvidia_uvm uvm_disable_hmm=1" in /etc/modprobe.d turns HMM off.'),
    cfg.BoolOpt(
        'mps', default=False,
        help='Offer slices by NVIDIA MPS (isolation mps) to consumers on the host itself; needs '
             'nvidia-cuda-mps-control and a conductor that runs as root.'),
    cfg.StrOpt(
        'mps_control', default='nvidia-cuda-mps-control',
        help='The program that starts and steers MPS daemons.'),
    cfg.StrOpt(
        'mps_directory', default='/run/accelpool-mps',
        help='Where MPS daemons have their pipes.  Sessions, which have user ids of their own, must be able to pass '
             'through it: it and each directory above it need the x bit for others.  It is made with mode 0711.'),
    cfg.IntOpt(
        'session_overhead_mib', default=512, min=0,
        help='Memory that the context of a session, and rounding to pages of the device, take beside the memory of its '
             'slice.  A device is charged it for each slice that is shared or limited by MPS; whole devices and '
             'partitions are not.'),
    cfg.StrOpt(
        'mdev_root', default='/sys',
        help='Where sysfs is mounted, for mediated devices, virtual functions, and devices that instances have.'),
]
