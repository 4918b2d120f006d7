# SPDX-License-Identifier: Apache-2.0
"""Variables that only the vendor's library knows, as those of images that the worker cannot read."""

from accelpool.drivers.mock import ptx
from tests.functional import test_meter

#: What each module of the library is, whatever image a program gives it.
MODULE = b'''.version 7.0
.target sm_52
.address_size 64
.visible .global .align 4 .b8 hidden[300] = {1, 2, 3};
.visible .entry fill() { ret; }
'''


class Variables(test_meter.Plain):
    interface = 'cuda'

    def test_a_variable_that_the_image_does_not_tell_of(self) -> None:
        module = self.place / 'module.so'
        ptx.compile_module(MODULE, module)
        module.chmod(0o644)
        self.bind('slice', 50, PLAIN_VENDOR_MODULE=str(module))
        self.finish(self.start('slice', '-m', 'tests.functional.variables_program'))
        self.used('slice')
        self.assertEqual(0, self.agent.slice('slice')['charged_bytes'])
