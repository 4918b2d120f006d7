# SPDX-License-Identifier: Apache-2.0
"""accelpool: pool, slice and remote accelerators.  See doc/source/contributor/architecture.rst."""
