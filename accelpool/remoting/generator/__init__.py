# SPDX-License-Identifier: Apache-2.0
"""Makes both ends of remoting from the interface descriptions; runs when the native parts are built."""
