"""What the tests of both Twilio APIs share: a client, a connection that shows the bytes, and what is sent."""

import json

from harness import Api, Raw, SandboxTest, basic

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TOKEN = "test_token"
INSTALLATION = "XE" + "a" * 32
PREVIEW_PATH = f"/marketplace/InstalledAddOns/{INSTALLATION}/Usage"


def sid(number=0):
    return f"BI{number:032x}"


def v1_path(installation=INSTALLATION):
    return f"/v1/InstalledAddOns/{installation}/Usage"


def items_json(*quantities):
    """A body of V1, the quantities as they are to stand on the wire; each item has its own sid."""
    items = ",".join(f'{{"sid":"{sid(n)}","quantity":{quantity}}}' for n, quantity in enumerate(quantities))
    return f'{{"billable_items":[{items}]}}'


def refusal(answer):
    """(status, code) of a refusal, its shape checked."""
    body = answer.json
    assert body.keys() == {"code", "message", "more_info", "status"}, body
    assert body["status"] == answer.status and body["more_info"].endswith(f"/{body['code']}"), body
    return answer.status, body["code"]


class TwilioApi(Api):
    def __init__(self, port, authorization=basic(ACCOUNT, TOKEN), tls=None):
        super().__init__(port, authorization, tls)

    def report(self, *quantities, installation=INSTALLATION):
        """V1: one item for each quantity."""
        return self.post(items_json(*quantities), v1_path(installation))

    def post(self, body, path=v1_path(), content_type="application/json"):
        return self.call("POST", path, body, headers={"Content-Type": content_type})

    def quantity(self, quantity):
        """Preview."""
        return self.call("POST", PREVIEW_PATH, f"Quantity={quantity}")


class RawTwilio(Raw):
    def report(self, *quantities):
        body = items_json(*quantities)
        return self._post(v1_path(), "application/json", body)

    def quantity(self, quantity):
        return self._post(PREVIEW_PATH, "application/x-www-form-urlencoded", f"Quantity={quantity}")

    def _post(self, path, content_type, body):
        head = [
            f"POST {path} HTTP/1.1",
            "Host: localhost",
            f"Authorization: {basic(ACCOUNT, TOKEN)}",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}",
        ]
        self.send(("\r\n".join(head) + "\r\n\r\n" + body).encode())
        return self


class TwilioTest(SandboxTest):
    def setUp(self):
        super().setUp()
        self.twilio = self.client()

    def client(self, authorization=basic(ACCOUNT, TOKEN)):
        api = TwilioApi(self.sandbox.port, authorization)
        self.addCleanup(api.close)
        return api

    def reported(self, *quantities, **options):
        """What a V1 request answers that is accepted, its numbers as text."""
        answer = self.twilio.report(*quantities, **options)
        self.assertEqual(answer.status, 202, answer.body)
        return json.loads(answer.body, parse_float=str, parse_int=str)

    def charged(self):
        """[(api, sid, quantity)] of all that was charged."""
        return [(charge["api"], charge["sid"], charge["quantity"]) for charge in self.sandbox.ledger()["charges"]]

    def totals(self):
        """{(installation, sid): quantity}."""
        rows = self.sandbox.ledger()["charge_totals"]
        return {(row["installation"], row["sid"]): row["quantity"] for row in rows}
