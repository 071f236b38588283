"""An HTTP API that others run: asked with a deadline, again where that is safe, and not while it is down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from time import time

from app.resilience.breaker import CircuitBreaker, CircuitOpen
from app.resilience.http import Answer, AnswerBroken, AnswerTooLarge, HttpClient
from app.resilience.retry import Backoff, retrying

_RETRIED = frozenset({502, 503, 504})


class UpstreamError(Exception):
    """No usable answer; the message says why, for whoever called."""


class UpstreamDown(UpstreamError):
    """It is not reached, breaks off, is too slow, or says that it is in trouble."""

    def __init__(self, message: str, *, retry: bool = True) -> None:
        super().__init__(message)
        self.retry = retry


class UpstreamBusy(UpstreamError):
    """It wants fewer requests (429); `retry_after` is when, in seconds, it says to come back."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"it wants fewer requests, and to be asked again in {retry_after:.0f} s")
        self.retry_after = retry_after


class UpstreamRefused(UpstreamError):
    """It answers this request with another status than 200."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"it answered with status {status}")
        self.status = status
        self.body = body


class UpstreamWrong(UpstreamError):
    """It answers with something that is not what it should be, or too large."""


class Upstream:
    """GET requests to one API. All of its errors are `UpstreamError`s or `CircuitOpen`."""

    def __init__(
        self,
        client: HttpClient,
        base: str,
        *,
        timeout: float = 10.0,
        max_bytes: int = 8 * 1024 * 1024,
        headers: Mapping[str, str] | None = None,
        backoff: Backoff | None = None,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._headers = dict(headers or {})
        self._backoff = backoff or Backoff()
        self.breaker = breaker or CircuitBreaker((UpstreamDown,))

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """The body of a 200, within the deadline. GET may be repeated, so it is, as long as there is time."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._timeout

        async def once() -> Answer:
            with self.breaker.attempt():
                return await self._ask(path, params or {}, end - clock())

        answer = await retrying(once, self._backoff, _again, left=lambda: end - clock())
        return answer.body

    async def check(self) -> None:
        """For /ready, without asking: raises while the last requests failed."""
        if self.breaker.is_open:
            raise CircuitOpen(0)

    async def _ask(self, path: str, params: Mapping[str, str], left: float) -> Answer:
        import httpx

        # Half of the time for one attempt leaves the other half for another.
        patience = max(0.001, min(left, self._timeout / 2))
        try:
            async with asyncio.timeout(patience):
                answer = await self._client.get(
                    self._base + path,
                    params=params,
                    headers=self._headers,
                    timeout=patience,
                    max_bytes=self._max_bytes,
                )
        except (TimeoutError, httpx.TimeoutException):
            raise UpstreamDown(f"it did not answer within {patience:.3g} s") from None
        except (httpx.ConnectError, httpx.ProxyError):
            raise UpstreamDown("it cannot be reached") from None
        except httpx.TransportError:
            raise UpstreamDown("it broke off its answer") from None
        except (httpx.InvalidURL, httpx.HTTPError):
            raise UpstreamWrong("its address is wrong") from None
        except AnswerTooLarge:
            raise UpstreamWrong(f"its answer has more than the {self._max_bytes} bytes that are taken") from None
        except AnswerBroken as error:
            raise UpstreamWrong(f"its answer is broken: {error}") from None
        return _accepted(answer)


def _accepted(answer: Answer) -> Answer:
    if answer.status == 200:
        return answer
    if answer.status == 429:
        raise UpstreamBusy(_seconds(answer.headers.get("retry-after"), 60.0))
    if answer.status >= 500:
        raise UpstreamDown(f"it answered with status {answer.status}", retry=answer.status in _RETRIED)
    raise UpstreamRefused(answer.status, answer.body)


def _again(error: Exception) -> float | None:
    if isinstance(error, UpstreamBusy):
        return error.retry_after
    return 0.0 if isinstance(error, UpstreamDown) and error.retry else None


def _seconds(retry_after: str | None, otherwise: float) -> float:
    """What `Retry-After` says, as seconds or as a date."""
    if retry_after is None:
        return otherwise
    if retry_after.strip().isdecimal():
        return float(min(int(retry_after[:10]), 86_400))
    with suppress(ValueError, OverflowError):
        return max(0.0, min(86_400.0, parsedate_to_datetime(retry_after).timestamp() - time()))
    return otherwise
