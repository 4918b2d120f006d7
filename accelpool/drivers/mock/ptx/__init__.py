# SPDX-License-Identifier: Apache-2.0
"""Kernels without a GPU: PTX text becomes C, C becomes a shared object, and the emulated CUDA library runs it."""

from accelpool.drivers.mock.ptx.cache import Cache, cache_key
from accelpool.drivers.mock.ptx.compile import compile_module
from accelpool.drivers.mock.ptx.errors import PtxError
from accelpool.drivers.mock.ptx.translate import translate

__all__ = ['Cache', 'PtxError', 'cache_key', 'compile_module', 'translate']
