# SPDX-License-Identifier: Apache-2.0
"""Runs an example beside another one: ``beside_program.py DIRECTORY INTERFACE EXAMPLE``, with the interpreter that it needs.

It opens its session, says so by a file in the directory and waits for the file of the other interface; only then the example
begins. So if both end well, both had a session before either had computed anything.
"""

import ctypes
import pathlib
import runpy
import sys
import time

#: Of each interface: its library, and a call that opens the session.
SESSIONS = {'cuda': ('libcuda.so.1', 'cuInit'), 'acl': ('libascendcl.so', 'aclrtSetDevice')}
PATIENCE = 180


def main() -> None:
    """Meet the other program, then run the example."""
    directory, interface, example = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    library, function = SESSIONS[interface]
    code = getattr(ctypes.CDLL(library), function)(0)
    if code:
        sys.exit(f'{function} returned {code}')
    (directory / interface).touch()
    waiting = {directory / name for name in SESSIONS}
    end = time.monotonic() + PATIENCE
    while waiting := {path for path in waiting if not path.exists()}:
        if time.monotonic() > end:
            sys.exit(f'no session of {", ".join(path.name for path in waiting)} beside the one of {interface}')
        time.sleep(0.05)
    sys.argv = [example]
    runpy.run_path(example, run_name='__main__')


if __name__ == '__main__':
    main()
