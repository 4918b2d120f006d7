# SPDX-License-Identifier: Apache-2.0
"""Tests that need an Ascend NPU with its driver and CANN: ``python -m tests.hardware.ascend``."""
