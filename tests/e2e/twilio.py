"""Twilio's upstreams as the end-to-end tests configure them, and the names that they use."""

import base64

ACCOUNT, TOKEN = "AC0123456789abcdef0123456789abcdef", "test_token"
CREDENTIALS = {"Authorization": "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()}
V1, PREVIEW = "twilio-v1", "twilio-preview"


def installation(letter):
    return "XE" + letter * 32


def billing_sid(number):
    return f"BI{number:032x}"


def write_token(directory):
    """The file that holds the token."""
    token = directory / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN + "\n")
    return token


def upstream(name, kind, port, token, **keys):
    """Its table of meterd.toml; `keys`: further ones, as TOML."""
    more = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f"""[[upstream]]
name = "{name}"
kind = "{kind}"
url = "http://127.0.0.1:{port}"
account = "{ACCOUNT}"
token = {{ file = "{token}" }}
{more}"""


def meter(event, item_price, upstream, unit_price=None):
    price = f'unit_price = "{unit_price}"\n' if unit_price else ""
    return f'[[meter]]\nevent = "{event}"\nitem_price = "{item_price}"\nupstream = "{upstream}"\n{price}'


def served_api(token):
    """What lets a device's own Twilio APIs be called over TCP; keys of [api]."""
    return f'twilio_account = "{ACCOUNT}"\ntwilio_token = {{ file = "{token}" }}\n'
