# SPDX-License-Identifier: Apache-2.0
"""How an attachment reaches its user: instances of Nova, nodes of Ironic."""
