"""A FastCGI client that can do what nginx never does."""

import socket
import struct

BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
KEEP = 1


def record(kind, content=b"", request=1):
    return struct.pack(">BBHHBx", 1, kind, request, len(content), 0) + content


def _length(n):
    return bytes([n]) if n < 128 else struct.pack(">I", n | 0x80000000)


def params(values):
    out = b""
    for name, value in values.items():
        name, value = name.encode(), value.encode()
        out += _length(len(name)) + _length(len(value)) + name + value
    return out


def message(method, uri, body=b"", keep=True, **more):
    """One whole request as bytes."""
    values = {"REQUEST_METHOD": method, "REQUEST_URI": uri}
    if body:
        values["CONTENT_LENGTH"] = str(len(body))
    values.update(more)
    begin = struct.pack(">HB5x", 1, KEEP if keep else 0)
    out = record(BEGIN, begin) + record(PARAMS, params(values)) + record(PARAMS)
    for at in range(0, len(body), 60000):
        out += record(STDIN, body[at : at + 60000])
    return out + record(STDIN)


class Connection:
    """A connection to the handlers' socket."""

    def __init__(self, path, timeout=10):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def answer(self):
        """The status and the text of the next answer; EOFError at the end."""
        out = b""
        while True:
            _, kind, _, length, pad = struct.unpack(
                ">BBHHBx", self._exactly(8)
            )
            content = self._exactly(length + pad)[:length]
            if kind == STDOUT:
                out += content
            elif kind == END:
                head, _, body = out.partition(b"\r\n\r\n")
                return int(head.split()[1]), body.decode()

    def ask(self, *args, **kwargs):
        self.send(message(*args, **kwargs))
        return self.answer()
