"""The simulated providers: aimock, and before it a recorder of what they are told.

aimock's own journal keeps a request in OpenAI's words, without pictures, schemas or thoughts; so every byte passes
through a recorder on its way there, which also passes on how a connection ends.
"""

import contextlib
import http.client
import http.server
import pathlib
import re
import socket
import struct
import subprocess
import sys
import threading
import urllib.parse

from gateway import told

HERE = pathlib.Path(__file__).resolve().parent.parent
AIMOCK = HERE.parent.parent / "node_modules/@copilotkit/aimock/dist/cli.js"
START_SECONDS = 20
# Longer than any fixture's delay.
ANSWER_SECONDS = 30


@contextlib.contextmanager
def aimock(log_path):
    """Starts aimock on a free port; gives its port."""
    if not AIMOCK.exists():
        raise SystemExit(f"{AIMOCK} is missing: run `npm ci`")
    command = ["node", str(AIMOCK), "--port", "0", "--validate-on-load", "--strict"]
    # The first fixture that fits answers: what fails by the model's name comes before what answers by the prompt.
    # Gemini has calls of its own, for it ends them with STOP; aimock's word, FUNCTION_CALL, is not the protocol's.
    for name in ("failures.json", "gemini.json", "answers.json"):
        command += ["--fixtures", str(HERE / "fixtures" / name)]
    with open(log_path, "w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield _port(process, log_path)
        finally:
            process.terminate()
            process.wait(10)


def _port(process, log_path):
    for _ in range(START_SECONDS * 20):
        text = pathlib.Path(log_path).read_text(encoding="utf-8")
        if found := re.search(r"listening on http://[^:\s]+:(\d+)", text):
            return int(found[1])
        if process.poll() is not None:
            break
        threading.Event().wait(0.05)
    raise SystemExit(f"aimock did not start:\n{pathlib.Path(log_path).read_text(encoding='utf-8')}")


class Recorder(http.server.ThreadingHTTPServer):
    """Passes requests on to aimock and keeps them."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, upstream_port):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream_port = upstream_port
        self.lock = threading.Lock()
        self.requests = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def told(self, marker):
        """The requests that bear a check's marker, in the order in which they came."""
        with self.lock:
            return [request for request in self.requests if marker in request.text]

    def handle_error(self, request, client_address):
        """A connection that a caller closes is nothing to tell; all else is a mistake in here."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *arguments):
        pass

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        headers = {name.lower(): self.headers[name] for name in self.headers}
        request = told.read(urllib.parse.unquote(self.path), headers, text)
        with self.server.lock:
            self.server.requests.append(request)
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream_port, timeout=ANSWER_SECONDS)
        try:
            upstream.request("POST", self.path, text.encode(), {"content-type": "application/json"})
            answer = upstream.getresponse()
            self.send_response_only(answer.status)
            for name in ("content-type", "retry-after"):
                if answer.getheader(name):
                    self.send_header(name, answer.getheader(name))
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            while piece := answer.read1(65536):
                request.answer += piece.decode("utf-8", "replace")
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if not answer.isclosed():
                # `read1` gives nothing also where a connection broke off.
                raise http.client.IncompleteRead(b"")
            self.wfile.write(b"0\r\n\r\n")
        except (http.client.HTTPException, OSError):
            self._break()
        finally:
            upstream.close()

    def _break(self):
        """Ends the connection as it ended there: at once, in the middle."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)
