# SPDX-License-Identifier: Apache-2.0
"""As much of Neutron as Nova asks for when servers have no network: every collection is empty."""

import http.server
import json
import sys
from typing import Any


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every GET."""

    protocol_version = 'HTTP/1.1'
    wbufsize = -1  # head and body in one segment: apart they wait for a delayed acknowledgement

    def do_GET(self) -> None:
        path = self.path.partition('?')[0].strip('/')
        if not path:
            link = {'rel': 'self', 'href': f'http://{self.headers["Host"]}/v2.0/'}
            self._send({'versions': [{'id': 'v2.0', 'status': 'CURRENT', 'links': [link]}]})
        else:
            self._send({path.rpartition('/')[2].removesuffix('.json').replace('-', '_'): []})

    def _send(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == '__main__':
    http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
