"""Starts a billing sandbox for a test and talks to it, politely (Api) or byte by byte (Raw)."""

import base64
import contextlib
import http.client
import json
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import unittest
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = HERE / "billing_sandbox"
KEY = "test_key"
DAY = 1601683200  # 2020-10-03T00:00:00Z
TIMEOUT_SECONDS = 10


def basic(user, password=""):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Sandbox:
    """One running sandbox on a free loopback port."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [str(PROGRAM), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (.+:([0-9]+)|unix:.+)\n", line)
        if not match:
            _, errors = self.process.communicate()
            raise RuntimeError(f"the sandbox did not start: {line!r} {errors}")
        self.address = match.group(1)
        self.port = int(match.group(2) or 0)
        self._control = None

    def stop(self, number=signal.SIGTERM):
        """Ends it; (exit code, what it wrote to stderr)."""
        if self._control:
            self._control.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=TIMEOUT_SECONDS)
        return self.process.returncode, errors

    def control(self, method, path, value=None):
        if self._control is None:
            self._control = _connection("127.0.0.1", self.port)
        self._control.request(method, "/_sandbox/" + path, None if value is None else json.dumps(value))
        answer = self._control.getresponse()
        body = json.loads(answer.read())
        if answer.status != 200:
            raise ValueError(body["message"])
        return body

    def ledger(self):
        return self.control("GET", "ledger")

    def requests(self):
        return self.control("GET", "requests")["requests"]

    def faults(self, **spec):
        return self.control("POST", "faults", spec)

    def advance(self, seconds):
        return self.control("POST", f"advance?seconds={seconds}")

    def invoice(self, usage_id, invoice, line_item=None):
        """Puts a usage on an invoice; "" takes it off. Like alter and forget, it answers the record."""
        given = {} if line_item is None else {"line_item": line_item}
        return self._at_the_console("invoice", usage=usage_id, invoice=invoice, **given)

    def alter(self, usage_id, quantity):
        return self._at_the_console("alter", usage=usage_id, quantity=quantity)

    def forget(self, usage_id):
        return self._at_the_console("forget", usage=usage_id)

    def redirect(self, times):
        """The next so many downloads answer 302 to another link."""
        return self.control("POST", f"redirect?times={times}")["redirects_left"]

    def _at_the_console(self, name, **query):
        return self.control("POST", f"{name}?{urllib.parse.urlencode(query)}")["usage"]

    def api(self, **options):
        return Api(self.port, **options)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def replayed(self):
        return self.headers.get("chargebee-idempotency-replayed") == "true"

    @property
    def error(self):
        """(status, code, param) of a refusal, its shape checked."""
        body = self.json
        assert {"message", "type", "api_error_code", "error_code"} <= body.keys(), body
        assert body["http_status_code"] == self.status, body
        return self.status, body["api_error_code"], body.get("param")


class Api:
    """The vendor's operations over one keep-alive connection; over TLS with a client's context."""

    def __init__(self, port, authorization=basic(KEY), tls=None):
        self._connection = _connection("localhost" if tls else "127.0.0.1", port, tls)
        self._authorization = authorization

    def close(self):
        self._connection.close()

    def call(self, method, path, body=None, key=None, headers=()):
        sent = {"Authorization": self._authorization, **dict(headers)}
        if body is not None:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
        if key is not None:
            sent["chargebee-idempotency-key"] = key
        self._connection.request(method, path, body, sent)
        return Answer(self._connection.getresponse())

    def create(self, subscription="sub_1", key=None, headers=(), **form):
        path = f"/api/v2/subscriptions/{urllib.parse.quote(subscription, safe='')}/usages"
        return self.call("POST", path, urllib.parse.urlencode(form), key, headers)

    def retrieve(self, usage_id, subscription="sub_1"):
        query = urllib.parse.urlencode({"id": usage_id})
        return self.call("GET", f"/api/v2/subscriptions/{subscription}/usages?{query}")

    def delete(self, usage_id, subscription="sub_1", key=None):
        body = urllib.parse.urlencode({"id": usage_id})
        return self.call("POST", f"/api/v2/subscriptions/{subscription}/delete_usage", body, key)

    def list(self, **query):
        return self.call("GET", "/api/v2/usages?" + urllib.parse.urlencode(query))

    def pdf(self, invoice, key=None, **form):
        body = urllib.parse.urlencode({"invoice[id]": invoice} | form)
        return self.call("POST", "/api/v2/usages/pdf", body, key)


def download(url, headers=(), method="GET", tls=None):
    """Follows a link as a browser would, over a connection of its own and without credentials; no redirect is taken."""
    parts = urllib.parse.urlsplit(url)
    with contextlib.closing(_connection(parts.hostname, parts.port, tls)) as connection:
        connection.request(method, parts.path, headers=dict(headers))
        return Answer(connection.getresponse())


def _connection(host, port, tls=None):
    if tls:
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=tls)
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)


def usage(number=0, **changes):
    """The form of a create that is valid; each number has its own id and second."""
    form = {"id": f"u{number}", "item_price_id": "sms-usd", "quantity": "1", "usage_date": DAY + number}
    return form | changes


class Raw:
    """A socket that sends one create and shows what really comes back."""

    def __init__(self, sandbox, tls=None):
        self._socket = socket.create_connection(("127.0.0.1", sandbox.port), TIMEOUT_SECONDS)
        if tls:
            self._socket = tls.wrap_socket(self._socket, server_hostname="localhost", suppress_ragged_eofs=False)

    def create(self, number=0, key=None):
        body = urllib.parse.urlencode(usage(number)).encode()
        head = [
            "POST /api/v2/subscriptions/sub_1/usages HTTP/1.1",
            "Host: localhost",
            f"Authorization: {basic(KEY)}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
        ]
        head += [f"chargebee-idempotency-key: {key}"] if key else []
        self.send(("\r\n".join(head) + "\r\n\r\n").encode() + body)
        return self

    def send(self, data):
        self._socket.sendall(data)

    def receive(self):
        return self._socket.recv(1 << 20)

    def read_answer(self):
        """Everything up to the end of a usage's JSON, piece by piece as it arrived."""
        pieces = []
        while not b"".join(pieces[-4:]).endswith(b"}}"):
            pieces.append(self.receive())
            if not pieces[-1]:
                raise EOFError("closed in the middle of an answer")
        return pieces

    def read_all(self):
        """Everything up to the peer's close (FIN). ConnectionResetError if the connection is reset."""
        data = b""
        while piece := self.receive():
            data += piece
        return data

    def is_silent(self, seconds=0.1):
        """Nothing arrives and nothing is closed for a while."""
        self._socket.settimeout(seconds)
        try:
            self._socket.recv(1)
            return False
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(TIMEOUT_SECONDS)

    def close(self):
        self._socket.close()


def make_certificate(directory):
    """(certificate, key, client context) for localhost; None where there is no openssl command."""
    certificate, key = directory / "cert.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    try:
        subprocess.run(
            [*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=TIMEOUT_SECONDS
        )
    except FileNotFoundError:
        return None
    return certificate, key, ssl.create_default_context(cafile=certificate)


class SandboxTest(unittest.TestCase):
    """A sandbox of its own for each test; it must end well."""

    arguments = ()

    def setUp(self):
        self.sandbox = Sandbox(*self.arguments)
        self.addCleanup(self.stop)
        self.api = self.sandbox.api()
        self.addCleanup(self.api.close)

    def stop(self):
        code, errors = self.sandbox.stop()
        self.assertEqual(code, 0)
        self.assertNotIn("Traceback", errors)

    def created(self, subscription="sub_1", **form):
        answer = self.api.create(subscription, **form)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json["usage"]
