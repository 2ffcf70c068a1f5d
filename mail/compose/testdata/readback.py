"""Reads messages with Python's email package under its strict policy, and says what it has understood.

Standard input is a JSON list of messages in base64, standard output a JSON list with an answer for each.
"""

import base64
import email
import email.policy
import json
import sys
from datetime import timezone


def addresses(message, name):
    header = message[name]
    if header is None:
        return []
    return [[a.display_name, a.addr_spec] for a in header.addresses]


def leaves(message):
    """All parts that hold no others; a message within the message is one."""
    if message.is_multipart() and message.get_content_type() != "message/rfc822":
        for p in message.iter_parts():
            yield from leaves(p)
    else:
        yield message


def octets_of(p):
    if p.get_content_type() == "message/rfc822":
        as_it_is = email.policy.strict.clone(refold_source="none", linesep="\r\n")
        return p.get_payload(0).as_bytes(policy=as_it_is)
    # For text too: get_content would make other line ends of them.
    return p.get_payload(decode=True)


def part(p):
    disposition = p["content-disposition"]
    return {
        "type": p.get_content_type(),
        "disposition": disposition.content_disposition if disposition else "",
        "name": p.get_filename() or "",
        "content_id": str(p["content-id"] or ""),
        "text": base64.b64encode(octets_of(p)).decode(),
    }


def defects(message):
    """All that is not as the standards want it, with the header field or the part where it is."""
    found = []
    for p in message.walk():
        found += ["%s: %s" % (p.get_content_type(), type(d).__name__) for d in p.defects]
        for name, header in p.items():
            found += ["%s: %s: %s" % (name, type(d).__name__, d) for d in header.defects]
    return found


def read(octets):
    # A header in UTF-8 (RFC 6532) is text to the parser; octets of a body are what they are.
    header, blank, body = octets.partition(b"\r\n\r\n")
    text = (header + blank).decode() + body.decode("ascii", "surrogateescape")
    message = email.message_from_string(text, policy=email.policy.strict)
    date = message["date"]
    return {
        "from": addresses(message, "from"),
        "reply_to": addresses(message, "reply-to"),
        "to": addresses(message, "to"),
        "cc": addresses(message, "cc"),
        "subject": str(message["subject"] or ""),
        "message_id": str(message["message-id"] or ""),
        "date": int(date.datetime.astimezone(timezone.utc).timestamp()),
        "parts": [part(p) for p in leaves(message)],
        "defects": defects(message),
    }


def main():
    answers = []
    for encoded in json.load(sys.stdin):
        try:
            answers.append(read(base64.b64decode(encoded)))
        except Exception as e:  # the strict policy raises what it does not take
            answers.append({"error": "%s: %s" % (type(e).__name__, e)})
    json.dump(answers, sys.stdout)


main()
