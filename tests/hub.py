"""A hub on this machine that answers what the client asks of a real one."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_tests"
Files = dict[str, bytes]


@dataclass
class Model:
    """Commits, the oldest first, and which of them each revision is."""

    commits: dict[str, Files] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    private: bool = False

    def commit(self, files: Files, revision: str = "main") -> str:
        before = self.commits.get(self.revisions.get(revision, ""), {})
        name = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[name] = {**before, **files}
        self.revisions[revision] = name
        return name


class Hub:
    """Its models, what was asked of it, and what it is to do wrong.

    Attributes:
        spoils: serve files with their last bit flipped.
        status: answer everything with this error.
        regular: keep no file in LFS, and so no SHA-256 of any.
    """

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self.uploads: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.spoils = False
        self.regular = False
        self.status: int | None = None
        self.url = ""

    def add(self, name: str, files: Files, revision: str = "main") -> str:
        """Commit files to a model, which is made if need be."""
        return self.models.setdefault(name, Model()).commit(files, revision)

    def file(self, name: str, path: str) -> bytes:
        model = self.models[name]
        return model.commits[model.revisions["main"]][path]

    def is_large(self, path: str) -> bool:
        return path.endswith(".safetensors") and not self.regular


@contextmanager
def running() -> Iterator[Hub]:
    """A hub on a free port of this machine."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._resolve()

    def do_GET(self) -> None:
        if self._fails():
            return
        if not self.path.startswith("/api/models/"):
            self._resolve()
            return
        parts = urlsplit(self.path).path.removeprefix("/api/models/").split("/")
        name, revision = "/".join(parts[:2]), unquote(parts[3]) if len(parts) > 3 else "main"
        if (found := self._files(name, revision)) is not None:
            commit, files = found
            siblings = [self._sibling(path, content) for path, content in files.items()]
            self._json({"id": name, "sha": commit, "siblings": siblings})

    def do_PUT(self) -> None:
        self.hub.asked.append(self.path)
        content = self._body()
        self.hub.uploads[hashlib.sha256(content).hexdigest()] = content
        self._json({})

    def do_POST(self) -> None:
        if self._fails():
            return
        path = urlsplit(self.path).path
        body = self._body()
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "")
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.hub.models[name] = Model(private=asked.get("visibility") == "private")
            self._json({"url": f"{self.hub.url}/{name}", "name": name})
        elif path == "/api/validate-yaml":
            is_wrong = b"license: no-such" in json.loads(body)["content"].encode()
            errors = [{"message": '"license" must be one of a list'}] if is_wrong else []
            self._json({"errors": errors, "warnings": []}, 400 if is_wrong else 200)
        elif "/preupload/" in path:
            files = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if self.hub.is_large(each["path"]) else "regular",
                    "shouldIgnore": False,
                }
                for each in json.loads(body)["files"]
            ]
            self._json({"files": files})
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                {**each, "actions": {"upload": {"href": f"{self.hub.url}/upload/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            self._json({"transfer": "basic", "objects": objects})
        elif "/commit/" in path:
            self._commit(path, body)
        else:
            self._refuse(404, "")

    def _commit(self, path: str, body: bytes) -> None:
        place, _, revision = path.removeprefix("/api/models/").partition("/commit/")
        files = {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.uploads[value["oid"]]
        commit = self.hub.add(place, files, unquote(revision))
        self._json({"commitUrl": f"{self.hub.url}/{place}/commit/{commit}", "commitOid": commit})

    def _resolve(self) -> None:
        """A file's content, or its headers alone."""
        if self.command == "HEAD" and self._fails():
            return
        name, _, rest = urlsplit(self.path).path.removeprefix("/").partition("/resolve/")
        revision, _, path = rest.partition("/")
        found = self._files(name, unquote(revision))
        if found is None:
            return
        commit, files = found
        content = files.get(unquote(path))
        if content is None:
            self._refuse(404, "EntryNotFound")
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{_etag(content, large=self.hub.is_large(path))}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            last = content[-1] ^ self.hub.spoils
            self.wfile.write(content[:-1] + bytes([last]))

    def _files(self, name: str, revision: str) -> tuple[str, Files] | None:
        model = self.hub.models.get(name)
        if model is None:
            self._refuse(404, "RepoNotFound")
            return None
        commit = revision if revision in model.commits else model.revisions.get(revision)
        if commit is None and model.commits:
            self._refuse(404, "RevisionNotFound")
            return None
        return commit or "0" * 40, model.commits.get(commit or "", {})

    def _sibling(self, path: str, content: bytes) -> dict[str, Any]:
        about: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": "0" * 40}
        if self.hub.is_large(path):
            sha256 = _etag(content, large=True)
            about["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
        return about

    def _fails(self) -> bool:
        self.hub.asked.append(self.path)
        if self.hub.status is not None:
            self._refuse(self.hub.status, "")
        return self.hub.status is not None

    def _refuse(self, status: int, code: str) -> None:
        body = json.dumps({"error": code or "refused"}).encode()
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, content: Any, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


def _etag(content: bytes, *, large: bool) -> str:
    return hashlib.sha256(content).hexdigest() if large else hashlib.sha1(content).hexdigest()
