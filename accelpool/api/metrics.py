# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of the API: ``/metrics`` beside ``/healthcheck``, without authentication (``[api] metrics``).

With several processes behind one address set the environment variable ``PROMETHEUS_MULTIPROC_DIR`` to an empty
directory: each answer then has the sum of all of them.
"""

import functools
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import prometheus_client
from prometheus_client import multiprocess

from accelpool.api import auth, health, openapi

PATH = '/metrics'
#: Bounds of the histogram, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
#: What a path is called that the API does not have: labels must not be the callers' to choose.
UNKNOWN = 'unknown'


@functools.cache
def _histogram() -> prometheus_client.Histogram:
    return prometheus_client.Histogram(
        'accelpool_api_request_seconds', 'Time from a request to its answer', ['method', 'route', 'status'],
        buckets=BUCKETS)


@functools.cache
def _in_progress() -> prometheus_client.Gauge:
    return prometheus_client.Gauge(
        'accelpool_api_requests_in_progress', 'Requests that wait for their answer', multiprocess_mode='livesum')


@functools.cache
def _routes() -> frozenset[str]:
    return frozenset(_shape(path) for path, _, _ in openapi.operations())


def _shape(path: str) -> str:
    """``/v1/pools/p/devices/d`` -> ``/v1/pools/{id}/devices/{id}``"""
    tree, *parts = [part for part in path.split('/') if part] or ['']
    return '/'.join(('', tree, *('{id}' if number % 2 else part for number, part in enumerate(parts))))


def route(path: str) -> str:
    """Return the name of a path in the metrics."""
    found = _shape(path)
    return found if found in _routes() or path == health.PATH else UNKNOWN


class Metrics:
    """Outermost, so that it sees all the time that a request takes, and every answer."""

    def __init__(self, application: auth.WSGIApp) -> None:
        self._application = application
        # Before there are requests: of two at once each would make them, which the library refuses.
        self._histogram, self._in_progress = _histogram(), _in_progress()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get('PATH_INFO') == PATH:
            return _show(start_response)
        status = ['500']

        def noted(line: str, *rest: Any) -> Any:
            status[0] = line[:3]
            return start_response(line, *rest)

        started = time.monotonic()
        try:
            with self._in_progress.track_inprogress():
                return self._application(environ, noted)
        finally:
            self._histogram.labels(environ['REQUEST_METHOD'], route(environ.get('PATH_INFO', '')), status[0]).observe(
                time.monotonic() - started)


def _show(start_response: Callable[..., Any]) -> Iterable[bytes]:
    registry = prometheus_client.REGISTRY
    if 'PROMETHEUS_MULTIPROC_DIR' in os.environ:
        registry = prometheus_client.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    start_response('200 OK', [('Content-Type', prometheus_client.CONTENT_TYPE_LATEST)])
    return [prometheus_client.generate_latest(registry)]
