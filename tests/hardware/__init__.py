# SPDX-License-Identifier: Apache-2.0
"""Tests on an NVIDIA GPU.  ``tools/hw/verify.sh`` runs them; without one each is skipped with the reason.

Those that are a :class:`tests.hardware.host.HostCase` run on the stand-in of NVML as well.
"""
