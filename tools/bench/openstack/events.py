# SPDX-License-Identifier: Apache-2.0
"""Takes Nova's external events, as fast as an HTTP server can: ``python -m tools.bench.openstack.events PORT``.

What a bind costs is measured, not what Nova does with the news.
"""

import http.server
import json
import sys
from typing import Any


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    # Header and body leave together: apart, the second one would wait 40 ms for a delayed acknowledgement.
    wbufsize = -1

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get('Content-Length', 0))) or b'{}')
        self._answer({'events': [{**event, 'code': 200} for event in body.get('events', ())]})

    def do_GET(self) -> None:
        """What a client may want to know before: the versions."""
        here = f'http://{self.headers["Host"]}/v2.1/'
        version = {'id': 'v2.1', 'status': 'CURRENT', 'version': '2.100', 'min_version': '2.1',
                   'links': [{'rel': 'self', 'href': here}]}
        self._answer({'versions': [version], 'version': version})

    def _answer(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


if __name__ == '__main__':
    http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), _Handler).serve_forever()
