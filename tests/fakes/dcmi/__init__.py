# SPDX-License-Identifier: Apache-2.0
"""A stand-in for Huawei's device management: ``libdcmi.so``, answering from a description of a host."""
