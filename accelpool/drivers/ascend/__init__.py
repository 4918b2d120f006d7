# SPDX-License-Identifier: Apache-2.0
"""Huawei Ascend NPUs.  :mod:`~accelpool.drivers.ascend.remoting` says how a session uses one."""
