"""Tells the log what was refused, so that who tries doors is seen: what it was, at which route, and where from.

Never what was sent: a path may hold a link that works, a body anything. One address writes a few lines a minute, or a
flood of requests would be one of the log and of the disk; the metrics count all of them.
"""

import time

import structlog

from api.access import origin_of
from api.pace import Pace
from api.page import PAGE

LINES_A_MINUTE = 30
"""Of one address."""
STATUSES = frozenset({400, 401, 403, 405, 410, 413, 414, 415, 422, 429, 431})
"""Answers that refuse. A 404 is told where there is no route either, a 409 where a field link comes again: who works
meets the other kinds all day."""
LINK = "/field/{token}"

_log = structlog.get_logger()
_pace = Pace(LINES_A_MINUTE)


def answered(status: int, method: str, route: str, host: str) -> None:
    """Tell of an answer that refuses; ``route`` is its pattern, "none" where nobody looked for one."""
    if status in STATUSES or (status, route) in ((404, PAGE), (409, LINK)):
        tell("a request was refused", host, status=status, method=method, route=route)


def tell(what: str, host: str, **more: str | int) -> None:
    """One line of the log, unless this host's address has filled its minute."""
    address = origin_of(host)
    if _pace.wait_s(address, time.monotonic()) == 0.0:
        _log.warning(what, address=address, **more)
