"""What a meter sends while it authenticates a module (RFC 5191, EAP-PSK of RFC 4764); only the form is true."""

from itertools import count

REQUEST = 0x8000
START = 0x4000
COMPLETE = 0x2000
AUTHENTICATION = 0x0002

AUTH, EAP, INTEGRITY, KEY_ID, PRF, RESULT, LIFETIME = 1, 2, 3, 5, 6, 7, 8
EAP_REQUEST, EAP_SUCCESS, EAP_FAILURE = 1, 3, 4
EAP_IDENTITY, EAP_PSK = 1, 47


def _message(flags: int, session: int, sequence: int, *avps: bytes) -> bytes:
    body = b"".join(avps)
    head = bytes(2) + (16 + len(body)).to_bytes(2) + (REQUEST | flags).to_bytes(2) + AUTHENTICATION.to_bytes(2)
    return head + session.to_bytes(4) + sequence.to_bytes(4) + body


def _avp(code: int, value: bytes) -> bytes:
    return code.to_bytes(2) + bytes(2) + len(value).to_bytes(2) + bytes(2) + value + bytes(-len(value) % 4)


def _eap(code: int, identifier: int, data: bytes = b"") -> bytes:
    return _avp(EAP, bytes([code, identifier]) + (4 + len(data)).to_bytes(2) + data)


def authentication(route_b_id: str, lifetime: int, *, is_accepted: bool) -> list[bytes]:
    """Return the meter's messages in order; its identity holds the Route B ID in clear text, as it really does."""
    session, sequences = 0x5C3A11, count(1)
    identity = b"SM" + route_b_id.encode()
    nonce = bytes(range(16))
    first = bytes([EAP_PSK, 0x00]) + nonce + identity
    third = bytes([EAP_PSK, 0x80]) + nonce + bytes(range(16, 64))
    algorithms = _avp(PRF, bytes.fromhex("00000005")) + _avp(INTEGRITY, bytes.fromhex("0000000C"))
    messages = [
        _message(START, 0, next(sequences), algorithms),
        _message(0, session, next(sequences), _eap(EAP_REQUEST, 1, bytes([EAP_IDENTITY]))),
        _message(0, session, next(sequences), _eap(EAP_REQUEST, 2, first)),
    ]
    if not is_accepted:
        refusal = _avp(RESULT, (1).to_bytes(4)) + _eap(EAP_FAILURE, 2)
        return [*messages, _message(COMPLETE, session, next(sequences), refusal)]
    acceptance = (
        _avp(RESULT, bytes(4))
        + _eap(EAP_SUCCESS, 3)
        + _avp(KEY_ID, (1).to_bytes(4))
        + _avp(LIFETIME, lifetime.to_bytes(4))
        + _avp(AUTH, bytes(range(16)))
    )
    return [
        *messages,
        _message(0, session, next(sequences), _eap(EAP_REQUEST, 3, third)),
        _message(COMPLETE, session, next(sequences), acceptance),
    ]
