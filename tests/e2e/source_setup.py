"""What there is to count in the kill test of the sources: the rules, the meters, and the sources that name them."""

# Subscribers in the table that stays, in the one that is replaced, and one of neither.
STAYS = {"10.0.0.2": "sub_2", "10.0.0.3": "sub_3", "10.0.0.4": "sub_4"}
RELOADED = {"10.0.0.5": "sub_5", "10.0.0.6": "sub_6"}
STRANGER = "10.0.0.99"

RULES = """
table inet {table} {{
  set subscribers {{ type ipv4_addr; flags dynamic; counter; size 1024; }}
  counter wwan {{ }}
  chain from_subscribers {{
    type filter hook prerouting priority {priority}
    udp dport 9 counter name wwan update @subscribers {{ ip saddr }} {verdict}
  }}
}}
"""
RULES_THAT_STAY = RULES.format(table="stays", priority=-300, verdict="drop")
RELOAD = "table inet reloaded\ndelete table inet reloaded\n" + RULES.format(table="reloaded", priority=-301, verdict="")

SOURCES = """
[[source]]
kind = "nftables"
table = "stays"
set = "subscribers"
event = "set.bytes"
subscribers = {{ {stays} }}
interval = "1s"
[[source]]
kind = "nftables"
table = "stays"
counter = "wwan"
event = "counter.bytes"
subscription = "sub_all"
interval = "1s"
[[source]]
kind = "nftables"
table = "reloaded"
set = "subscribers"
event = "reloaded.bytes"
subscribers = {{ {reloaded} }}
interval = "1s"
bytes_per_second_max = "{rate}"
[[source]]
kind = "interface"
name = "wwan0"
event = "link.bytes"
subscription = "sub_link"
direction = "rx"
[[source]]
kind = "access-log"
socket = "{log}"
event = "call.count"
subscription_field = "sub"
status = ["2xx"]
path_prefix = ["/api/"]
worker_field = "worker"
sequence_field = "seq"
[[source]]
kind = "modem-manager"
event = "sms.sent"
direction = "sent"
subscription = "sub_sms"
[[source]]
kind = "modem-manager"
event = "sms.received"
direction = "received"
subscription = "sub_sms"
"""
RELOADED_SET = "nftables:inet:reloaded:subscribers:reloaded.bytes"
METERS = {"set.bytes": "set", "counter.bytes": "counter", "reloaded.bytes": "reloaded", "link.bytes": "link",
          "call.count": "calls", "sms.sent": "sent", "sms.received": "received"}


def pairs(subscribers):
    return ", ".join(f'"{key}" = "{value}"' for key, value in subscribers.items())


def config(log_socket, bytes_per_second_max):
    return SOURCES.format(stays=pairs(STAYS), reloaded=pairs(RELOADED), log=log_socket, rate=bytes_per_second_max)
