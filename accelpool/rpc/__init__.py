# SPDX-License-Identifier: Apache-2.0
"""Messages between the services (oslo.messaging, nothing else).

oslo.messaging loads oslo.service, whose default would be eventlet; this package is imported before it and
chooses threads.
"""

import sys

from oslo_service import backend

# futurist imports eventlet wherever it is installed, and uses it for nothing here: 18 MiB and a warning.
sys.modules.setdefault('eventlet', None)  # type: ignore[arg-type]
backend.init_backend(backend.BackendType.THREADING)
