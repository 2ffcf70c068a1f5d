# Verifies the topmost signature of each message by dkimpy. In: JSON [{"message": base64, "records": {name: value}}, ...].
# Out: JSON [reason, ...], "" for a signature that holds.
import base64, json, sys
import dkim


def verdict(case):
    records = {name.rstrip(".").lower() + ".": value for name, value in case["records"].items()}

    def lookup(name, timeout=5):
        value = records.get(name.decode().lower())
        return value.encode() if value else None

    try:
        message = dkim.DKIM(base64.b64decode(case["message"]), minkey=1024)
        if not message.verify(dnsfunc=lookup):
            return "the signature does not hold"
    except dkim.DKIMException as e:
        return f"{type(e).__name__}: {e}"
    return ""


json.dump([verdict(case) for case in json.load(sys.stdin)], sys.stdout)
