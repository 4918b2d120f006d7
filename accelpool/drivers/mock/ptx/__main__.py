# SPDX-License-Identifier: Apache-2.0
"""`python -m accelpool.drivers.mock.ptx`: one file, or `--serve` for an agent."""

import argparse
import sys
from pathlib import Path

from accelpool.drivers.mock.ptx import compile as compiler
from accelpool.drivers.mock.ptx import serve
from accelpool.drivers.mock.ptx.errors import PtxError
from accelpool.drivers.mock.ptx.translate import translate


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0; 1 with the reason on stderr when the PTX cannot be translated."""
    parser = argparse.ArgumentParser(prog='accelpool.drivers.mock.ptx', description=__doc__)
    parser.add_argument('--serve', action='store_true', help='answer requests on descriptor 3')
    parser.add_argument('--input', type=Path, help='PTX text; several with their .version lines are linked')
    parser.add_argument('--output', type=Path, help='shared object to write')
    parser.add_argument('--keep-c', type=Path, help='write the C source here as well')
    options = parser.parse_args(arguments)
    if options.serve:
        return serve.main()
    if options.input is None or options.output is None:
        parser.error('--input and --output are needed')
    try:
        source = translate(compiler.decode(options.input.read_bytes()))
        if options.keep_c is not None:
            options.keep_c.write_text(compiler.RUNTIME + source, 'ascii')
        compiler.compile_source(source, options.output)
    except PtxError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
