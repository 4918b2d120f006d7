# SPDX-License-Identifier: Apache-2.0
"""DCMI's error numbers, and what an operator should do about each."""

NOT_FOUND, NOT_UNDERSTOOD = -1, -2

REMEDIES = {
    NOT_FOUND: 'install the Ascend driver, name the directory in [ascend] dcmi_dir, or take ascend out of [conductor] '
               'drivers',
    NOT_UNDERSTOOD: 'not understood: another language, or a release that this one of accelpool does not know; have it '
                    'print English, or install libdcmi.so',
    -8001: 'a wrong parameter: the driver\'s release does not fit what was asked; see the driver\'s log',
    -8002: 'permission denied: run the conductor as root on the host itself (a 310P also in a VM, a 910 or 910B also '
           'in a privileged container)',
    -8003: 'the driver could not get or copy memory: free some on the host',
    -8004: 'a check inside the driver failed; see its log (/var/log/npu)',
    -8005: 'the kernel modules of the Ascend driver do not answer: load them, or restart the host',
    -8006: 'the chip did not answer in time: it is asked again; reset it if that stays so (npu-smi set -t reset)',
    -8007: 'there is no chip of that number: what is there has changed',
    -8008: 'the chip is not there any more: see npu-smi info -m',
    -8009: 'the kernel modules refused: their release may differ from that of the library; install one release',
    -8010: 'the chip could not be reached: reset it (npu-smi set -t reset)',
    -8011: 'the chip did not reply: reset it (npu-smi set -t reset)',
    -8012: 'the driver is not ready: wait until it has started (npu-smi info), or restart the host',
    -8013: 'the driver refuses this in a container: run the conductor on the host',
    -8014: 'the driver could not read or write a file of its own: see whether /etc and /var have room',
    -8015: 'the reset failed: end what uses the chip and try again, or restart the host',
    -8016: 'the operation was broken off: try again',
    -8017: 'the firmware is being upgraded: it is asked again until that is done',
    -8020: 'it is in use, or vNPUs of the other mode are there or wanted (npu-smi info -t vnpu-mode)',
    -8022: 'the firmware does not take this partition: see npu-smi info -t template-info',
    -8023: 'there is no such configuration: somebody else removed it',
    -8255: 'the chip or its driver does not support it',
}
#: Numbers that DCMI keeps between these.
UNKNOWN = 'an error that this release of accelpool does not know; see the driver\'s log (/var/log/npu)'


def remedy(number: int) -> str:
    return REMEDIES.get(number, UNKNOWN)
