# SPDX-License-Identifier: Apache-2.0
"""The API.  What pecan imports to colour the errors of its HTML templates, 6 MiB, is left out: here it renders JSON."""

import sys

if 'pygments' not in sys.modules:
    sys.modules['pygments'] = None  # type: ignore[assignment]  # it is not there
    import pecan  # noqa: F401

    del sys.modules['pygments']
