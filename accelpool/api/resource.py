# SPDX-License-Identifier: Apache-2.0
"""What every controller is made of: a place in the URL tree, and endpoints with schemas.

A :class:`Resource` is a noun: ``/noun`` is the collection and ``/noun/{id}`` an item, with more nouns
below the item.  Its methods are named ``get_all``, ``post``, ``patch_all`` and ``delete_all`` (collection),
``get_one``, ``put``, ``patch`` and ``delete`` (item) and carry the :func:`endpoint` decorator.  Only these can be
reached by a URL.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pecan
import webob
from oslo_config import cfg
from webob import exc

from accelpool import errors
from accelpool.api import context as api_context
from accelpool.api import microversions, validation

#: Set by tests: check every response against its schema.
check_responses = False

#: HTTP method -> method of a Resource, for ``/noun`` and for ``/noun/{id}``.
COLLECTION = {'GET': 'get_all', 'HEAD': 'get_all', 'POST': 'post', 'PATCH': 'patch_all', 'DELETE': 'delete_all'}
ITEM = {'GET': 'get_one', 'HEAD': 'get_one', 'PUT': 'put', 'PATCH': 'patch', 'DELETE': 'delete'}
#: Bytes of an oversized body that are read and thrown away: a client that is still sending would see its
#: connection reset instead of the answer.
DISCARDED = 2**20

NOTHING_HERE = 'The API has nothing at this path'

_JSON = {'application/json', 'application/merge-patch+json'}


@dataclasses.dataclass(frozen=True)
class Call:
    """One request, checked: what a controller's method gets."""

    context: api_context.Context
    version: microversions.Version
    query: dict[str, Any]
    body: Any
    request: webob.Request

    @functools.cached_property
    def url(self) -> str:
        """The application's own, for links."""
        return str(self.request.application_url)


@dataclasses.dataclass(frozen=True)
class Operation:
    """What an endpoint takes and gives; its ``operation`` attribute."""

    status: int
    query: validation.Schema
    body: validation.Schema | None
    response: validation.Schema | None
    summary: str


@dataclasses.dataclass(frozen=True)
class Answer:
    """A controller's result where it is more than the body."""

    body: Any
    status: int | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Resource:
    """A noun.  ``children`` hang below its items, or, in a :class:`Directory`, below itself."""

    children: ClassVar[Mapping[str, 'Resource']] = {}
    directory: ClassVar[bool] = False

    def route(self, segments: list[str], request: webob.Request) -> tuple[Callable[..., Any], list[str]]:
        """Find the method for a path and the ids in it."""
        node, ids, table = self, [], COLLECTION
        rest = list(segments)
        if rest and not rest[-1]:
            rest.pop()  # a trailing slash
        while rest:
            head = rest.pop(0)
            if not head or not head.isprintable():
                raise exc.HTTPNotFound(NOTHING_HERE)
            if node.directory:
                node, table = _child(node, head), COLLECTION
            else:
                ids.append(head)
                table = ITEM
                if rest:
                    node, table = _child(node, rest.pop(0)), COLLECTION
        method = getattr(node, table.get(request.method, ''), None)
        if method is None:
            allowed = [verb for verb, name in table.items() if hasattr(node, name)]
            if not allowed:
                raise exc.HTTPNotFound(NOTHING_HERE)
            raise exc.HTTPMethodNotAllowed(
                f'{request.method} is not possible here, only {", ".join(allowed)}', allow=', '.join(allowed))
        return method, ids


class Directory(Resource):
    """A node that has no items of its own, only nouns below it."""

    directory = True


def _child(node: Resource, name: str) -> Resource:
    try:
        return node.children[name]
    except KeyError:
        raise exc.HTTPNotFound(NOTHING_HERE) from None


NO_QUERY: validation.Schema = {'type': 'object', 'properties': {}, 'additionalProperties': False}


def endpoint(*, response: validation.Schema | None = None, body: validation.Schema | None = None,
             query: validation.Schema = NO_QUERY, status: int = 200) -> Callable[..., Any]:
    """Expose a controller's method, with schemas for what comes in and what goes out.

    :param response: schema of the response's body; None for no body
    :param body: schema of the request's body; None for a method that takes none
    :param query: schema of the query string
    :param status: of a success, unless the method returns an :class:`Answer` with its own
    """
    query_checker = validation.QueryChecker(query)
    body_checker = None if body is None else validation.Checker(body)
    response_checker = None if response is None else validation.Checker(response)

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        def handler(self: Resource, *ids: str) -> webob.Response:
            environ = pecan.request.environ
            request = webob.Request(environ)
            version = environ[microversions.ENVIRON]
            content: dict[str, Any] = {}
            if body_checker is not None:
                content = read_json(request)
                body_checker.check(content)
                microversions.check_body(version, content)
            result = method(self, Call(
                context=environ.get(api_context.ENVIRON), version=version,
                query=query_checker.parse(request.GET.items()), body=content, request=request), *ids)
            answer = result if isinstance(result, Answer) else Answer(result)
            if check_responses and response_checker is not None:
                response_checker.check_response(json.loads(json.dumps(answer.body)))
            seen = dataclasses.replace(answer, body=microversions.as_seen(version, answer.body))
            return _response(seen, status if answer.status is None else answer.status)
        functools.update_wrapper(handler, method, updated=())
        handler.operation = Operation(  # type: ignore[attr-defined]
            status, query, body, response, (method.__doc__ or '').strip().partition('\n')[0])
        del handler.__wrapped__  # type: ignore[attr-defined]  # pecan asks for *this* signature
        return pecan.expose(content_type='application/json')(handler)  # type: ignore[no-any-return]
    return decorate


def _response(answer: Answer, status: int) -> webob.Response:
    if answer.body is None:
        response = webob.Response(status=status)
        response.content_type = None
    else:
        response = webob.Response(
            body=json.dumps(answer.body).encode(), status=status, content_type='application/json')
    response.headers.update(answer.headers)
    return response


def read_json(request: webob.Request) -> Any:
    """Return the parsed body.

    :raises PayloadTooLarge: it is larger than ``[api] max_body_size``
    :raises InvalidRequest: it is not JSON
    """
    limit = cfg.CONF.api.max_body_size
    if request.content_type and request.content_type not in _JSON:
        raise exc.HTTPUnsupportedMediaType(
            detail=f'Content-Type is {request.content_type}; the API speaks application/json')
    raw = request.body_file.read(limit + 1)
    if len(raw) > limit:
        request.body_file.read(DISCARDED)
        raise errors.PayloadTooLarge(f'The body is larger than {limit} bytes', field='body')
    return validation.parse_json(raw)


def etag(shown: Mapping[str, Any]) -> str:
    """Return the ETag of an object as it is shown."""
    digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
    return f'"{digest[:32]}"'


def tagged(shown: dict[str, Any]) -> Answer:
    """Answer with an object and its ETag."""
    return Answer(shown, headers={'ETag': etag(shown)})


def check_if_match(request: webob.Request, tag: str) -> None:
    """Raise PreconditionFailed when the request has an If-Match and the object changed since."""
    wanted = request.headers.get('If-Match')
    if wanted is None or wanted.strip() == '*':
        return
    if tag not in (part.strip() for part in wanted.split(',')):
        raise errors.PreconditionFailed(
            'The object was changed since you read it; read it again and repeat the change', field='If-Match')
