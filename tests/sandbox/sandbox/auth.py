"""HTTP Basic, which both vendors ask for."""

import base64
import binascii

CHALLENGE = ("WWW-Authenticate", 'Basic realm="billing sandbox"')


def basic(request):
    """(user, password) as bytes; None where the request brings no credentials that can be read."""
    scheme, _, encoded = (request.header("authorization") or "").partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if scheme.lower() == "basic" and colon else None
