# SPDX-License-Identifier: Apache-2.0
"""``python -m accelpool.remoting.generator --out DIR``: generate for every description in ``interfaces/``."""

import argparse
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Final

from accelpool.remoting.generator import emit_client, emit_docs, emit_wire, emit_worker, model

_INTERFACES: Final = pathlib.Path(__file__).parent.parent / 'interfaces'
_FILES: Final[Mapping[str, Callable[[model.Interface], str]]] = {
    '_wire.h': emit_wire.wire_header,
    '_prototypes.h': emit_client.prototypes_header,
    '_client.c': emit_client.client_source,
    '_worker.h': emit_worker.worker_header,
    '_worker.c': emit_worker.worker_source,
    '_coverage.rst': emit_docs.coverage,
    '.dict': emit_docs.fuzz_dictionary,
}


def main(argv: list[str] | None = None) -> int:
    """Write all files; 1 and a message when a description is wrong."""
    parser = argparse.ArgumentParser(prog='accelpool.remoting.generator', description=__doc__)
    parser.add_argument('--out', type=pathlib.Path, required=True, help='directory for the generated files')
    parser.add_argument('descriptions', type=pathlib.Path, nargs='*', help='default: all that accelpool has')
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for path in arguments.descriptions or sorted(_INTERFACES.glob('*.yaml')):
        try:
            interface = model.load(path)
        except model.DescriptionError as failure:
            print(failure, file=sys.stderr)
            return 1
        for suffix, emit in _FILES.items():
            (arguments.out / (interface.name + suffix)).write_text(emit(interface))
    return 0


if __name__ == '__main__':
    sys.exit(main())
