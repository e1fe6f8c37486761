"""A thin client of the HTTP API."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import httpx

from mirnet.atomic import replacing
from mirnet.errors import ServerError, one_line

Facts = dict[str, Any]
"""What the server tells of a job; see ``/v1/openapi.json``."""
Follow = Callable[[Facts], object]


class Client:
    """A server that runs ``mirnet serve``.

    >>> with Client("http://127.0.0.1:8765") as client:
    ...     client.restore("noisy.jpg", "clean.jpg", task="denoising", strength=0.8)

    What a server refuses, or that it can't be reached, is a ServerError with its words.
    """

    def __init__(self, address: str, *, token: str | None = None, timeout_s: float = 60.0) -> None:
        """Name a server.

        Args:
            address: such as ``http://127.0.0.1:8765``.
            token: what the server asks for, if it does.
            timeout_s: how long one answer, and a place in the queue, may take, in seconds.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout_s = timeout_s
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout_s)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._http.close()

    def models(self) -> Facts:
        """Tasks, weights and limits of the server."""
        return self._ask("GET", "/v1/models")

    def restore(
        self,
        source: str | Path,
        target: str | Path,
        *,
        right: str | Path | None = None,
        follow: Follow = lambda facts: None,
        **options: object,
    ) -> tuple[str, ...]:
        """Have a photo restored, and write the result whole or not at all.

        Args:
            source: the photo; of a dual-pixel photo, the left view.
            target: the file to write, in the format that ``format`` asks for.
            right: the right view, if it is a file of its own.
            follow: told at each change how far the job is.
            options: as on the command line, such as ``task``, ``strength`` and ``format``.

        Returns:
            What is doubtful or was left out, a sentence each.

        Raises:
            ServerError: the photo or an option is refused, or could not be restored.
            OSError: a file can't be read or written.
        """
        facts = self.submit(source, right=right, **options)
        try:
            for changed in self.events(facts["id"]):
                facts = changed
                follow(facts)
            if facts["state"] in ("waiting", "running"):
                raise ServerError(
                    f"{source}: the server ended, or hung up, before it was done; send it again"
                )
            if facts["state"] != "done":
                raise ServerError(facts["detail"] or f"{source}: was {facts['state']}")
            self.download(facts["id"], target)
        finally:
            with suppress(ServerError):
                self.forget(facts["id"])
        return tuple(facts["notes"])

    def submit(
        self, source: str | Path, *, right: str | Path | None = None, **options: object
    ) -> Facts:
        """Begin a job; while the server is full, wait as it says. Raises as ``restore``."""
        until = time.monotonic() + self._timeout_s
        fields = {name: _as_text(value) for name, value in options.items() if value is not None}
        while True:
            with ExitStack() as files:
                photos = {
                    name: (Path(path).name, files.enter_context(Path(path).open("rb")))
                    for name, path in (("photo", source), ("right", right))
                    if path is not None
                }
                response = self._send("POST", "/v1/jobs", data=fields, files=photos)
            told = response.headers.get("Retry-After", "")
            wait_s = float(told) if told.isdecimal() else 1.0
            if response.status_code != 429 or time.monotonic() + wait_s > until:
                facts = _facts(response)
                if "id" not in facts:
                    raise ServerError(f"{response.url}: is no `mirnet serve`; check the address")
                return facts
            time.sleep(wait_s)

    def events(self, id: str) -> Iterator[Facts]:
        """How far a job is, at each change, until it is over."""
        try:
            with self._http.stream("GET", f"/v1/jobs/{id}/events") as response:
                if response.is_error:
                    response.read()
                    _facts(response)
                for line in response.iter_lines():
                    if line.startswith("data:"):
                        yield json.loads(line.removeprefix("data:"))
        except (httpx.HTTPError, ValueError) as error:
            raise self._unreached(error) from error

    def download(self, id: str, target: str | Path) -> None:
        """Write a job's result whole or not at all."""
        try:
            with self._http.stream("GET", f"/v1/jobs/{id}/result") as response:
                if response.is_error:
                    response.read()
                    _facts(response)
                with replacing(Path(target)) as temporary, temporary.open("wb") as file:
                    for part in response.iter_bytes():
                        file.write(part)
        except httpx.HTTPError as error:
            raise self._unreached(error) from error

    def cancel(self, id: str) -> Facts:
        """End a job, and keep it listed."""
        return self._ask("POST", f"/v1/jobs/{id}/cancel")

    def forget(self, id: str) -> None:
        """End a job, and remove its files from the server."""
        response = self._send("DELETE", f"/v1/jobs/{id}")
        if response.is_error:
            _facts(response)

    def _ask(self, method: str, path: str) -> Facts:
        return _facts(self._send(method, path))

    def _send(self, method: str, path: str, **what: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **what)
        except httpx.HTTPError as error:
            raise self._unreached(error) from error

    def _unreached(self, error: Exception) -> ServerError:
        return ServerError(
            f"{self._http.base_url}: does not answer ({one_line(error)}); check the address, and "
            "whether `mirnet serve` runs there"
        )


def _facts(response: httpx.Response) -> Facts:
    """What an answer holds; ServerError in the server's words if it is a refusal."""
    try:
        content: object = response.json()
    except ValueError:
        content = None
    if response.is_error or not isinstance(content, Mapping):
        detail = content.get("detail") if isinstance(content, Mapping) else None
        raise ServerError(str(detail or f"{response.url}: answered {response.status_code}"))
    return dict(content)


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
