# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for hardware.  Only hardware is ever faked in these tests."""
