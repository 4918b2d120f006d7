# SPDX-License-Identifier: Apache-2.0
"""What runs in a guest or on a node that uses the pool: ``accelpool-guest``.

These modules use each other, ``runtime.greeting``, ``remoting.handshake`` and Python's standard library, nothing else,
and run on Python 3.9: an image need not have more than that.
"""
