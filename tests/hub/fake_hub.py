"""A model hub on this machine, as far as `hf download` needs one: revision info, files with ETag and ranges.

    fake_hub.py FOLDER PORT_FILE [--token T] [--stall FILE...]

FOLDER/ORG/NAME/* are the repositories; those with ".gated" in them want the token. --stall FILE...: the first time that
such a file is asked for, nothing follows its first half. Prints each range that is asked for.
"""
import argparse
import hashlib
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "c0ffee" + "0" * 34


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options = argparse.Namespace()

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=(), whole=True):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if whole:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, json.dumps({"error": code}).encode(), [("X-Error-Code", code), ("X-Error-Message", code)])

    def repository(self, parts):
        """The repository's folder, or None after having answered."""
        folder = Path(self.options.folder, *parts)
        if not folder.is_dir():
            self.refuse(404, "RepoNotFound")
            return None
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if (folder / ".gated").exists() and token != self.options.token:
            self.refuse(403, "GatedRepo")
            return None
        return folder

    def do_GET(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"] and len(parts) >= 4:
            return self.info(parts[2:4], tree=parts[4:5] == ["tree"])
        if len(parts) >= 5 and parts[2] == "resolve":
            return self.file(parts[:2], "/".join(parts[4:]))
        return self.refuse(404, "EntryNotFound")

    do_HEAD = do_GET

    def info(self, parts, tree):
        """What a repository holds, in either of the two forms; a gated one says it, too."""
        folder = Path(self.options.folder, *parts)
        if not folder.is_dir():
            return self.refuse(404, "RepoNotFound")
        files = sorted(path for path in folder.iterdir() if path.name != ".gated")
        body = {"id": "/".join(parts), "modelId": "/".join(parts), "sha": COMMIT, "private": False, "tags": [],
                "downloads": 0, "likes": 0, "siblings": [{"rfilename": path.name} for path in files]}
        if tree:
            body = [{"type": "file", "path": path.name, "size": path.stat().st_size,
                     "oid": hashlib.sha1(path.read_bytes()).hexdigest()} for path in files]
        return self.answer(200, json.dumps(body).encode(), [("Content-Type", "application/json")])

    def file(self, parts, name):
        folder = self.repository(parts)
        if folder is None:
            return
        data = (folder / name).read_bytes()
        headers = [("ETag", '"' + hashlib.sha256(data).hexdigest() + '"'), ("X-Repo-Commit", COMMIT),
                   ("Accept-Ranges", "bytes"), ("Content-Type", "application/octet-stream")]
        wanted = self.headers.get("Range", "")
        if self.command == "GET" and wanted.startswith("bytes="):
            begin = int(wanted[6:].split("-")[0])
            print(f"range {name} {begin}", flush=True)
            headers.append(("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}"))
            return self.answer(206, data[begin:], headers)
        if self.command == "GET" and name in self.options.stall:
            self.options.stall.remove(name)
            self.answer(200, data[: len(data) // 2], headers + [("Content-Length", str(len(data)))], whole=False)
            self.wfile.flush()
            print(f"stalled {name}", flush=True)
            time.sleep(600)
            return None
        return self.answer(200, data, headers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("port_file")
    parser.add_argument("--token", default="a-token")
    parser.add_argument("--stall", nargs="*", default=[])
    Hub.options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Path(Hub.options.port_file).write_text(str(server.server_address[1]))
    server.serve_forever()


if __name__ == "__main__":
    main()
