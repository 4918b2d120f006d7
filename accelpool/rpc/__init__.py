# SPDX-License-Identifier: Apache-2.0
"""Messages between the services (oslo.messaging, nothing else).

oslo.messaging loads oslo.service, whose default would be eventlet; this package is imported before it and
chooses threads.
"""

from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)
