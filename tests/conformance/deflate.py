"""permessage-deflate (RFC 7692) for a client, with checks as strict as zlib allows."""

import re
import zlib
from dataclasses import dataclass

from wire import Refused, Violation

NAME = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"  # the end of a sync flush, which is not sent
LAST_BLOCK = b"\x01\x00\x00\xff\xff"  # an empty stored block with BFINAL set


@dataclass(frozen=True)
class Offer:
    """Our request to the server. Each offer lets the server restrict us too: no context takeover, a smaller window."""
    forgets: bool = False  # server_no_context_takeover
    window_bits: int = 0  # server_max_window_bits; 0: not asked for

    def __str__(self):
        text = NAME + "; client_no_context_takeover; client_max_window_bits"
        text += "; server_no_context_takeover" if self.forgets else ""
        return text + (f"; server_max_window_bits={self.window_bits}" if self.window_bits else "")


@dataclass(frozen=True)
class Agreed:
    client_forgets: bool = False
    client_window_bits: int = 15
    server_forgets: bool = False
    server_window_bits: int = 15


def agree(answer, offers):
    """Parses the server's Sec-WebSocket-Extensions; None if it is empty. Raises Refused if no offer allows it."""
    if not answer:
        return None
    # Tokens and numbers contain no comma or semicolon, so quoted values need no parser.
    if "," in answer:
        raise Refused(f"more than one extension: {answer}")
    name, *parameters = [part.strip() for part in answer.split(";")]
    if name != NAME:
        raise Refused(f"an extension that was not offered: {answer}")
    values = {}
    for parameter in parameters:
        key, equals, value = parameter.partition("=")
        key, value = key.strip(), value.strip()
        if key in values:
            raise Refused(f"{key} twice")
        if key in ("server_no_context_takeover", "client_no_context_takeover"):
            if equals:
                raise Refused(f"{key} with a value")
            values[key] = True
        elif key in ("server_max_window_bits", "client_max_window_bits"):
            if not re.fullmatch(r'(8|9|1[0-5])|"(8|9|1[0-5])"', value):
                raise Refused(f"{key} is {value!r}")
            values[key] = int(value.strip('"'))
        else:
            raise Refused(f"a parameter that nobody knows: {parameter!r}")
    agreed = Agreed(values.get("client_no_context_takeover", False), values.get("client_max_window_bits", 15),
                    values.get("server_no_context_takeover", False), values.get("server_max_window_bits", 15))
    if not any((agreed.server_forgets or not offer.forgets)
               and (not offer.window_bits or values.get("server_max_window_bits", 16) <= offer.window_bits)
               for offer in offers):
        raise Refused(f"an answer to none of the offers: {answer}")
    return agreed


class Deflater:
    """Compresses our messages."""

    def __init__(self, agreed):
        # zlib does not compress with a window of 2^8; with 2^9 its matches reach back 250 bytes at most.
        self.window_bits = max(9, agreed.client_window_bits)
        self.forgets = agreed.client_forgets
        self.stream = None

    def deflate(self, payload):
        if self.stream is None or self.forgets:
            self.stream = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -self.window_bits, 8)
        return (self.stream.compress(payload) + self.stream.flush(zlib.Z_SYNC_FLUSH))[:-len(TAIL)]


class Inflater:
    """Decompresses the server's messages.

    zlib checks the window only against the output of earlier calls, so we read the output in steps of an eighth of the
    window: distances of more than 9/8 of the negotiated window are detected.
    """

    def __init__(self, agreed):
        self.window_bits = agreed.server_window_bits
        self.forgets = agreed.server_forgets
        self.step = 0 if self.window_bits == 15 else (1 << self.window_bits) // 8  # no distance in deflate is longer
        self.stream = None

    def inflate(self, payload, limit):
        """Decompresses one message of at most `limit` bytes."""
        if self.stream is None or self.forgets:
            self.stream = zlib.decompressobj(-self.window_bits)
        stream, data, parts, size = self.stream, payload + TAIL, [], 0
        try:
            while True:
                part = stream.decompress(data, self.step or limit + 1)
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise Violation(f"a message that inflates to more than {limit} bytes")
                data = stream.unconsumed_tail
                if not data and len(part) < (self.step or limit + 1):
                    break
            # A message must end with a block, on a byte boundary; otherwise the next one cannot be decompressed.
            rest = stream.copy()
            rest.decompress(LAST_BLOCK)
            if stream.eof or not rest.eof or rest.unused_data:
                raise Violation("a compressed message that does not end where a block ends")
        except zlib.error as error:
            raise Violation(f"what came does not inflate: {error}") from None
        return b"".join(parts)
