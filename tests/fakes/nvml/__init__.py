# SPDX-License-Identifier: Apache-2.0
"""A stand-in for NVIDIA's management library.

``libnvidia-ml.so.1`` is built from the C files here and answers from a state file, which :class:`host.Host` makes
from a YAML description of a host (``hosts/``, models in ``models.yaml``) and changes while a test runs.
"""
