# SPDX-License-Identifier: Apache-2.0
"""Random operations and random faults for a long time, then a full comparison.

``python -m tests.integration.soak --minutes 30``; ``--seed`` repeats the choices of an earlier run, though not what
the services made of them.
"""
