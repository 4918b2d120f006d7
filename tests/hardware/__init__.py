# SPDX-License-Identifier: Apache-2.0
"""Tests that need an NVIDIA GPU.  ``tools/hw/verify.sh`` runs them; elsewhere each is skipped with the reason."""
