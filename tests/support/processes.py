# SPDX-License-Identifier: Apache-2.0
"""Processes of tests, as the kernel tells of them."""

import pathlib


def alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
        return False
