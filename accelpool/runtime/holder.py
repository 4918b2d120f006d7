# SPDX-License-Identifier: Apache-2.0
"""The holder connection: while it is open the local agent knows that the consumer lives.

The kernel closes it when the process dies, however it dies; the agent then gives everything back.
"""

import socket

from accelpool.remoting import handshake
from accelpool.runtime import greeting


def connect(url: str, credential: str) -> socket.socket:
    """Open a holder connection to the agent at ``url`` (``unix://`` only: it must be this machine).

    :raises greeting.Refused: the agent does not take this holder
    :raises OSError:
    """
    if not url.startswith('unix://'):
        raise greeting.Refused(f'a holder connects to its own machine, not to {url}')
    connection = greeting.dial({'url': url})
    try:
        greeting.greet(connection, handshake.KIND_HOLDER, credential)
        greeting.receive(connection, handshake.WELCOME)
        connection.settimeout(None)
    except BaseException:
        connection.close()
        raise
    return connection
