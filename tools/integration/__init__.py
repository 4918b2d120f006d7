# SPDX-License-Identifier: Apache-2.0
"""Real services for tests on one machine: loopback only, no systemd, nothing shared with the system's own.

``up.sh`` installs and starts, ``down.sh`` stops; ``python -m tools.integration`` does what both do to one service.
Only the standard library is used: the interpreter may be any.
"""
