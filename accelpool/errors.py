# SPDX-License-Identifier: Apache-2.0
"""Every exception that accelpool raises on purpose, each with the HTTP status it becomes.

``code`` is the stable, machine-readable name in the API's error form; the message is for a person
and says what to do next.  ``field`` names the offending request field where there is one.
"""


class AccelpoolError(Exception):
    """Base class.  Not raised itself."""

    status = 500
    code = 'internal-error'
    title = 'Internal Server Error'

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class InvalidRequest(AccelpoolError):
    """The request is malformed, or a field has a value it cannot have."""

    status = 400
    code = 'invalid-request'
    title = 'Bad Request'


class Unauthorized(AccelpoolError):
    status = 401
    code = 'unauthorized'
    title = 'Unauthorized'


class Forbidden(AccelpoolError):
    """One's own object, but the role does not allow the action.  A foreign object is NotFound."""

    status = 403
    code = 'forbidden'
    title = 'Forbidden'


class QuotaExceeded(Forbidden):
    """The project would have more than it may."""

    code = 'quota-exceeded'
    title = 'Quota Exceeded'


class NotFound(AccelpoolError):
    status = 404
    code = 'not-found'
    title = 'Not Found'


class NotAcceptable(AccelpoolError):
    """A microversion that this service does not speak."""

    status = 406
    code = 'microversion-not-supported'
    title = 'Not Acceptable'


class Conflict(AccelpoolError):
    """The object's present state does not allow the action, or the name is taken."""

    status = 409
    code = 'conflict'
    title = 'Conflict'


class PreconditionFailed(AccelpoolError):
    """If-Match did not match: somebody else changed the object."""

    status = 412
    code = 'precondition-failed'
    title = 'Precondition Failed'


class PayloadTooLarge(AccelpoolError):
    status = 413
    code = 'payload-too-large'
    title = 'Payload Too Large'


class TooManyRequests(AccelpoolError):
    """Too many failed attempts from one place."""

    status = 429
    code = 'too-many-requests'
    title = 'Too Many Requests'


class ServiceUnavailable(AccelpoolError):
    """A part that the request needs is down; the caller should try again."""

    status = 503
    code = 'service-unavailable'
    title = 'Service Unavailable'


class NoCandidates(AccelpoolError):
    """Nothing in the pool can satisfy the request; carries the reason for every device."""

    status = 409
    code = 'no-candidates'
    title = 'Conflict'


class ClaimConflict(AccelpoolError):
    """A device changed between reading and claiming; the scheduler reads again and retries."""

    status = 409
    code = 'claim-conflict'
    title = 'Conflict'


class StateConflict(Conflict):
    """A compare-and-swap of an allocation's state lost, or the transition does not exist."""

    code = 'state-conflict'


class DriverError(AccelpoolError):
    """A driver could not do what was asked of its hardware."""

    code = 'driver-error'


class NotSupported(AccelpoolError):
    """The driver lacks this interface or mode."""

    status = 400
    code = 'not-supported'
    title = 'Bad Request'


class AgentUnavailable(ServiceUnavailable):
    """The host's agent does not answer on its control socket."""

    code = 'agent-unavailable'
