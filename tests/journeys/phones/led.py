"""sipp as a telephone that is led by the hand: each step of its scenario waits for a word of ours, by its 3pcc socket.

It speaks and presses keys (RFC 4733) by pcap files made here, of one SSRC, with sequence numbers and timestamps that go
on. What it hears is read off the wire, since sipp itself does not listen. Both need raw sockets, as root has them.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from ivr.media import g711

Voice = npt.NDArray[np.int16]
Step = str | Voice  # keys to press, or what to say
ENDS = b"\x1b"  # of a message on the 3pcc socket
KEYS = "0123456789*#"
EVENT, LAW = 96, 8  # payload types
FRAME = 160  # samples, 20 ms
GAP = 4000  # samples between one step and the next
TONE = 5  # packets of a key, 20 ms each, before the three that end it
HEAD = """\
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
{routes}From: <sip:{number}@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:{service}@[remote_ip]:[remote_port]>{tag}
Call-ID: [call_id]
CSeq: {seq} {method}
Contact: <sip:{number}@[local_ip]:[local_port]>
Max-Forwards: 70
"""
OFFER = """\
P-Asserted-Identity: <sip:{number}@example.ir>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 8 96
a=rtpmap:96 telephone-event/8000
a=fmtp:96 0-15
a=sendrecv
"""
TO = "sip:[service]@[remote_ip]:[remote_port]"
ASKS = "<sendCmd><![CDATA[\nCall-ID: [call_id]\nFrom: led\n\n]]></sendCmd>\n<recvCmd />\n"
OVER = """\
<recv request="BYE" />
<send><![CDATA[

SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
"""


class Led:
    """One call of sipp to `uri`, step by step: `go()` lets it call, then do the next one, then hang up.

    `hung_up_on`: the line hangs up at the end; `refused`: the line says no, with this status. Leaving the block ends
    it.
    """

    def __init__(
        self, folder: Path, uri: str, number: str, steps: Sequence[Step], hung_up_on: bool = False,
        refused: int | None = None,
    ) -> None:  # fmt: skip
        folder.mkdir()
        self.folder, self._left = folder, 1 if refused else len(steps) + 2
        service, _, host = uri.removeprefix("sip:").partition("@")
        self._twin = socket.create_server(("127.0.0.1", 0))
        self._twin.settimeout(20)
        port = _free_media()
        self._ear = Tap(port)
        script = _Script(folder, number, service)
        told = script.refusal(refused) if refused else script.story(steps, hung_up_on)
        (folder / "story.xml").write_text(told)
        self._process = subprocess.Popen(
            ["sipp", "-sf", "story.xml", "-i", "127.0.0.1", "-mi", "127.0.0.1", "-mp", str(port), "-nostdin", "-m", "1",
             "-s", service, "-3pcc", f"127.0.0.1:{self._twin.getsockname()[1]}", "-trace_err",
             "-error_file", "errors", host],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._wire, _ = self._twin.accept()
        self._wire.settimeout(30)
        self._waits = b""
        self._hear()

    def __enter__(self) -> Led:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
        self._wire.close()
        self._twin.close()
        self._ear.close()

    def go(self) -> None:
        """Let it do the next thing, and wait until it asks for the one after."""
        asked, self._waits = self._waits, b""
        self._wire.sendall(asked + ENDS)
        self._left -= 1
        if self._left:
            self._hear()

    def end(self) -> None:
        """Wait until it is through. Fails with its own words."""
        status = self._process.wait(30)
        errors = self.folder / "errors"
        assert status == 0, errors.read_text() if errors.exists() else f"sipp ended with {status}"

    def heard(self) -> bytes:
        """What the line said to it so far, as WAV."""
        return g711.write_wav(self._ear.sound())

    def _hear(self) -> None:
        """Its question for the next step: everything up to the end mark."""
        while ENDS not in self._waits:
            more = self._wire.recv(65536)
            assert more, f"sipp is gone: {self.folder}"
            self._waits += more
        self._waits = self._waits.partition(ENDS)[0]


class _Script:
    """The scenario and the pcap files it plays."""

    def __init__(self, folder: Path, number: str, service: str) -> None:
        self._folder, self._words = folder, {"number": number, "service": service}
        self._seq, self._stamp = 100, 8000

    def story(self, steps: Sequence[Step], hung_up_on: bool) -> str:
        """INVITE, ACK by the route set that comes back, then the steps, then BYE of either."""
        acts = "".join(self._act(n, step) for n, step in enumerate(steps))
        ack = self._request("ACK", "[next_url]", 1, retrans="", tag="[peer_tag_param]", routes="[routes]\n")
        bye = self._request("BYE", "[next_url]", 2, tag="[peer_tag_param]", routes="[routes]\n")
        end = OVER if hung_up_on else f'{bye}<recv response="200" />\n'
        answered = '<recv response="100" optional="true" />\n<recv response="200" rrs="true" />\n'
        return self._scenario(f"{answered}{ack}{acts}{ASKS}{end}")

    def refusal(self, status: int) -> str:
        """INVITE, no, ACK."""
        ack = self._request("ACK", TO, 1, retrans="", tag="[peer_tag_param]")
        return self._scenario(f'<recv response="100" optional="true" />\n<recv response="{status}" />\n{ack}')

    def _scenario(self, rest: str) -> str:
        invite = self._request("INVITE", TO, 1, OFFER.format(**self._words))
        return f'<?xml version="1.0" encoding="UTF-8" ?>\n<scenario name="led">\n{ASKS}{invite}{rest}</scenario>\n'

    def _request(
        self, method: str, uri: str, seq: int, body: str = "Content-Length: [len]\n\n",
        retrans: str = ' retrans="500"', tag: str = "", routes: str = "",
    ) -> str:  # fmt: skip
        head = HEAD.format(method=method, seq=seq, tag=tag, routes=routes, **self._words)
        return f"<send{retrans}><![CDATA[\n\n{method} {uri} SIP/2.0\n{head}{body}]]></send>\n"

    def _act(self, n: int, step: Step) -> str:
        path = self._folder / f"{n}.pcap"
        path.write_bytes(_pcap(self._keys(step) if isinstance(step, str) else self._voice(step)))
        self._stamp += GAP
        return f'{ASKS}<nop><action><exec play_pcap_audio="{path}" /></action></nop>\n'

    def _voice(self, samples: Voice) -> list[bytes]:
        octets = g711.frames(samples).pcma
        packets = []
        for at in range(0, len(octets), FRAME):
            packets.append(self._packet(LAW, at == 0, self._stamp) + octets[at : at + FRAME])
            self._stamp += FRAME
        return packets

    def _keys(self, keys: str) -> list[bytes]:
        """Each key: packets that grow, the end three times, then a rest of silence."""
        packets = []
        for key in keys:
            for n in range(TONE + 3):
                long, over = FRAME * min(n + 1, TONE), 0x80 * (n >= TONE)
                event = struct.pack(">BBH", KEYS.index(key), over | 10, long)
                packets.append(self._packet(EVENT, n == 0, self._stamp) + event)
            self._stamp += FRAME * (TONE + 3)
            packets += self._voice(np.zeros(FRAME * 3, np.int16))
        return packets

    def _packet(self, kind: int, marker: bool, stamp: int) -> bytes:
        self._seq += 1
        return struct.pack(">BBHII", 0x80, kind | 0x80 * marker, self._seq, stamp, 0x5EED)


def _pcap(packets: Sequence[bytes]) -> bytes:
    """A capture of them, 20 ms apart, over Ethernet, IP and UDP; sipp puts its own ports in."""
    told = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for n, packet in enumerate(packets):
        udp = struct.pack(">HHHH", 6000, 6000, 8 + len(packet), 0) + packet
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), n, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
        frame = b"\2" * 12 + b"\x08\0" + ip + udp
        seconds, micro = divmod(20_000 * n, 1_000_000)
        told.append(struct.pack("<IIII", 1 + seconds, micro, len(frame), len(frame)) + frame)
    return b"".join(told)


class Tap:
    """Reads the PCMA that goes to a port of 127.0.0.1 off the wire."""

    def __init__(self, port: int) -> None:
        self._frames: dict[int, bytes] = {}
        self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        _only(self._wire, port)
        self._wire.bind(("lo", 0x0800))
        self._wire.settimeout(0.2)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def sound(self) -> Voice:
        """Everything so far, by its timestamps."""
        frames = dict(self._frames)
        if not frames:
            return np.zeros(0, np.int16)
        first = min(frames)
        octets = np.full(max(frames) - first + FRAME, 0xD5, np.uint8)
        for stamp, frame in frames.items():
            octets[stamp - first : stamp - first + len(frame)] = np.frombuffer(frame, np.uint8)
        return g711.decode("pcma", octets.tobytes())

    def close(self) -> None:
        self._over.set()
        self._thread.join(5)
        self._wire.close()

    def _read(self) -> None:
        while not self._over.is_set():
            try:
                data = self._wire.recv(2048)
            except TimeoutError:
                continue
            rtp = data[(data[0] & 15) * 4 + 8 :]
            if len(rtp) == 12 + FRAME and rtp[1] & 0x7F == LAW:
                self._frames[int.from_bytes(rtp[4:8], "big")] = rtp[12:]


def _only(wire: socket.socket, port: int) -> None:
    """Have the kernel pass UDP to this port alone: a classic BPF program."""
    steps = [
        (0x30, 0, 0, 9), (0x15, 0, 4, 17), (0xB1, 0, 0, 0), (0x48, 0, 0, 2), (0x15, 0, 1, port), (0x06, 0, 0, 65535),
        (0x06, 0, 0, 0),
    ]  # fmt: skip
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    held = bytearray(program)
    array = np.frombuffer(held, np.uint8)
    wire.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", len(steps), array.ctypes.data))  # SO_ATTACH_FILTER


def _free_media() -> int:
    """An even port with the next two free, as sipp takes them."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.bind(("127.0.0.1", 0))
            port = int(asked.getsockname()[1]) & ~1
        try:
            for other in (port, port + 2):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
                    asked.bind(("127.0.0.1", other))
        except OSError:
            continue
        return port
