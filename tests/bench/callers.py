"""Many callers at once, to measure a phone line from outside: SIP by hand, RTP both ways, the kernel's own times.

`python -m tests.bench.callers 127.0.0.1:5060 --calls 200 --seconds 30` prints one JSON line. No code of the plane is
used: one RTP socket, each caller with a source address of its own (127.1.x.y), gaps measured where packets arrive.
Before ringing it measures itself, sending to itself for a second: `bare_p99_ms` over 1 means "generator-bound",
and the row says nothing of the line. `--bare` does only that.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import random
import re
import select
import socket
import struct
import sys
import time
from dataclasses import dataclass, field

SO_TIMESTAMPNS, SO_RXQ_OVFL, SO_RCVBUFFORCE, IP_PKTINFO = 35, 40, 33, 8  # Linux, asm-generic/socket.h, in.h
FRAME, TICK = 160, 0.020
T1, T2, GIVE_UP = 0.5, 4.0, 32.0  # RFC 3261 s 17.1
EVENTS = "0123456789*#"
HEAD, TIME = struct.Struct("!BBHII"), struct.Struct("@qq")
ANCILLARY = socket.CMSG_SPACE(16) + socket.CMSG_SPACE(4) + 64


@dataclass
class Caller:
    """One call: its dialog, its stream out, and the gaps of the stream in."""

    number: int
    address: str
    call_id: str
    tag: str
    branch: str
    state: str = "new"  #: new inviting up leaving over failed
    why: str = ""
    asked_at: float = 0.0
    again_at: float = 0.0
    wait: float = T1
    setup: float = 0.0
    to: str = ""
    target: str = ""
    contact: tuple[str, int] | None = None
    media: tuple[str, int] | None = None
    source: list[tuple[int, int, bytes]] = field(default_factory=list)  #: ancillary data that names its address
    law: int = 8
    events: int | None = None
    up_at: float = 0.0
    seq: int = 0
    ts: int = 0
    ssrc: int = 0
    beats: list[tuple[int, bytes] | None] = field(default_factory=list)
    stream: int | None = None
    last: tuple[int, int] | None = None
    gaps: list[float] = field(default_factory=list)
    heard: int = 0
    lost: int = 0
    jumps: int = 0


class Callers:
    """`run()` rings, listens, hangs up, and returns the figures."""

    def __init__(self, server: tuple[str, int], options: argparse.Namespace) -> None:
        self.server, self.options = server, options
        self.sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sip.bind(("127.0.0.1", 0))
        self.sip.setblocking(False)
        self.rtp = _media_socket()
        self.port = self.rtp.getsockname()[1]
        draw = random.Random(options.seed)
        self.callers = [self._caller(number, draw) for number in range(options.calls)]
        self.by_id = {caller.call_id: caller for caller in self.callers}
        self.by_address = {socket.inet_aton(caller.address): caller for caller in self.callers}
        self.voice = _voice(draw)
        self.overflow = 0
        self.rung = 0
        self.live: list[Caller] = []
        self.lags: list[float] = []
        self.keys_sent = 0

    def _caller(self, number: int, draw: random.Random) -> Caller:
        address = f"127.1.{number // 250}.{number % 250 + 1}"
        tag, branch = f"{draw.getrandbits(32):x}", f"z9hG4bK{draw.getrandbits(48):x}"
        caller = Caller(number, address, f"{draw.getrandbits(64):x}@bench", tag, branch)
        source = struct.pack("@I4s4s", 0, socket.inet_aton(address), bytes(4))
        caller.source = [(socket.IPPROTO_IP, IP_PKTINFO, source)]
        caller.seq, caller.ts, caller.ssrc = draw.getrandbits(16), draw.getrandbits(32), draw.getrandbits(32)
        return caller

    def close(self) -> None:
        self.sip.close()
        self.rtp.close()

    # ---- the clock

    def run(self) -> dict[str, object]:
        start = due = time.monotonic()
        ring = self.options.calls / self.options.rate
        end = start + ring + self.options.settle + self.options.seconds
        while (now := time.monotonic()) < end + 3:
            self.lags.append(now - due)
            self._ring(now, start)
            self._remind(now)
            for caller in self.live:
                if caller.state == "up":
                    self._speak(caller)
                    if now >= min(end, caller.up_at + (self.options.hold or end)):
                        self._leave(caller, now)
            self.live = [caller for caller in self.live if caller.state in ("up", "leaving", "inviting")]
            if now >= end and not self.live:
                break
            due = max(due + TICK, now - TICK)
            self._hear_until(due, start if self.options.hold else start + ring + self.options.settle, end)
        return self._figures()

    def _ring(self, now: float, start: float) -> None:
        due = min(len(self.callers), int((now - start) * self.options.rate) + 1)
        for caller in self.callers[self.rung : due]:
            caller.state, caller.asked_at, caller.again_at = "inviting", now, now + T1
            self.live.append(caller)
            self._say(caller, self._invite(caller), self.server)
        self.rung = max(self.rung, due)

    def _remind(self, now: float) -> None:
        """Retransmissions of INVITE and BYE (timers A, B, E, F)."""
        for caller in self.live:
            if caller.state in ("inviting", "leaving") and now >= caller.again_at:
                if now - caller.asked_at > GIVE_UP:
                    self._over(caller, "timeout")
                    continue
                caller.wait = min(caller.wait * 2, T2 if caller.state == "leaving" else GIVE_UP)
                caller.again_at = now + caller.wait
                inviting = caller.state == "inviting"
                text = self._invite(caller) if inviting else self._within(caller, "BYE", 2)
                self._say(caller, text, self.server if inviting else caller.contact or self.server)

    def _hear_until(self, due: float, measure_from: float, measure_to: float) -> None:
        while (left := due - time.monotonic()) > 0:
            ready, _, _ = select.select([self.sip, self.rtp], [], [], left)
            if self.sip in ready:
                self._signals()
            if self.rtp in ready:
                self._sounds(measure_from, measure_to)

    # ---- signalling

    def _say(self, caller: Caller, text: str, to: tuple[str, int]) -> None:
        self.sip.sendto(text.encode(), to)

    def _head(self, caller: Caller, method: str, cseq: int, branch: str, to: str, target: str) -> str:
        host, port = self.sip.getsockname()
        return (
            f"{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch={branch};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:0912{caller.number:07d}@{host}>;tag={caller.tag}\r\nTo: {to}\r\n"
            f"Call-ID: {caller.call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:caller@{host}:{port}>\r\n"
        )

    def _invite(self, caller: Caller) -> str:
        body = (
            f"v=0\r\no=- 1 1 IN IP4 {caller.address}\r\ns=-\r\nc=IN IP4 {caller.address}\r\nt=0 0\r\n"
            f"m=audio {self.port} RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
            "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
        )
        target = f"sip:{self.options.number}@{self.server[0]}:{self.server[1]}"
        head = self._head(caller, "INVITE", 1, caller.branch, f"<{target}>", target)
        return f"{head}Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"

    def _within(self, caller: Caller, method: str, cseq: int) -> str:
        branch = f"{caller.branch}{method}"
        return self._head(caller, method, cseq, branch, caller.to, caller.target) + "Content-Length: 0\r\n\r\n"

    def _leave(self, caller: Caller, now: float) -> None:
        caller.state, caller.asked_at, caller.again_at, caller.wait = "leaving", now, now + T1, T1
        self._say(caller, self._within(caller, "BYE", 2), caller.contact or self.server)

    def _over(self, caller: Caller, why: str) -> None:
        caller.state = "over" if caller.up_at else "failed"
        caller.why = why

    def _signals(self) -> None:
        while True:
            try:
                data, peer = self.sip.recvfrom(65536)
            except OSError:
                return
            text = data.decode(errors="replace")
            found = re.search(r"(?im)^(?:call-id|i)\s*:\s*(\S+)", text)
            caller = self.by_id.get(found[1]) if found else None
            if caller is None:
                continue
            if text.startswith("SIP/2.0 "):
                self._answered(caller, int(text[8:11]), text)
            elif text.startswith("BYE "):
                self._hung_up(caller, text, peer)

    def _answered(self, caller: Caller, status: int, text: str) -> None:
        method = re.search(r"(?im)^cseq\s*:\s*\d+\s+(\w+)", text)
        if method is None or status < 200:
            caller.again_at = max(caller.again_at, time.monotonic() + GIVE_UP * (caller.state == "inviting"))
        elif method[1] == "BYE" and caller.state == "leaving":
            self._over(caller, "ours")
        elif method[1] == "INVITE" and status < 300:
            self._up(caller, text)
        elif method[1] == "INVITE" and caller.state == "inviting":
            caller.to = re.search(r"(?im)^(?:to|t)\s*:\s*(.*?)\r?$", text)[1]  # type: ignore[index]
            target = f"sip:{self.options.number}@{self.server[0]}:{self.server[1]}"
            ack = self._head(caller, "ACK", 1, caller.branch, caller.to, target) + "Content-Length: 0\r\n\r\n"
            self._say(caller, ack, self.server)
            self._over(caller, str(status))

    def _up(self, caller: Caller, text: str) -> None:
        if caller.state == "inviting":
            now = time.monotonic()
            caller.to = re.search(r"(?im)^(?:to|t)\s*:\s*(.*?)\r?$", text)[1]  # type: ignore[index]
            contact = re.search(r"(?im)^(?:contact|m)\s*:.*?<?(sip:(?:[^@>\s]*@)?([\d.]+)(?::(\d+))?[^>\s]*)", text)
            caller.target = contact[1] if contact else f"sip:{self.server[0]}:{self.server[1]}"
            caller.contact = (contact[2], int(contact[3] or 5060)) if contact else self.server
            host = re.search(r"(?m)^c=IN IP4 ([\d.]+)", text)
            media = re.search(r"(?m)^m=audio (\d+) \S+ (\d+)", text)
            event = re.search(r"(?m)^a=rtpmap:(\d+) telephone-event", text)
            if host and media:
                caller.media, caller.law = (host[1], int(media[1])), int(media[2])
            caller.events = int(event[1]) if event else None
            caller.state, caller.up_at, caller.setup = "up", now, now - caller.asked_at
            caller.beats = self._script(caller.number)
        self._say(caller, self._within(caller, "ACK", 1), caller.contact or self.server)

    def _hung_up(self, caller: Caller, text: str, peer: tuple[str, int]) -> None:
        kept = re.findall(r"(?im)^((?:via|v|from|f|to|t|call-id|i|cseq)\s*:.*?)\r?$", text)
        self.sip.sendto(("SIP/2.0 200 OK\r\n" + "\r\n".join(kept) + "\r\nContent-Length: 0\r\n\r\n").encode(), peer)
        if caller.state in ("up", "leaving"):
            self._over(caller, "theirs" if caller.state == "up" else "ours")

    # ---- sound

    def _script(self, number: int) -> list[tuple[int, bytes] | None]:
        """The keys to press as one entry a tick: ticks since the key began and its payload, or None."""
        script: list[tuple[int, bytes] | None] = []
        for key in self.options.keys if number % self.options.every == 0 else "*":
            script += [None] * int(self.options.pause / TICK)
            for tick in range(7):
                event = struct.pack("!BBH", EVENTS.index(key), 10 | 0x80 * (tick >= 4), FRAME * min(tick + 1, 5))
                script.append((tick, event))
        return script

    def _speak(self, caller: Caller) -> None:
        beat = caller.beats.pop(0) if caller.beats else None
        if caller.media is None:
            return
        if beat is not None and caller.events is not None:
            start = (caller.ts - beat[0] * FRAME) & 0xFFFFFFFF
            kind = caller.events | 0x80 * (beat[0] == 0)
            packet = HEAD.pack(0x80, kind, caller.seq, start, caller.ssrc) + beat[1]
            self.keys_sent += beat[0] == 0
        else:
            packet = HEAD.pack(0x80, caller.law, caller.seq, caller.ts, caller.ssrc)
            packet += self.voice[caller.seq % len(self.voice)]
        caller.seq, caller.ts = (caller.seq + 1) & 0xFFFF, (caller.ts + FRAME) & 0xFFFFFFFF
        with contextlib.suppress(OSError):  # the far port is shut: the BYE is on its way
            self.rtp.sendmsg([packet], caller.source, 0, caller.media)

    def _sounds(self, measure_from: float, measure_to: float) -> None:
        now = time.monotonic()
        measuring = measure_from <= now < measure_to and (not self.options.hold or int(now) % 10 == 0)
        for _ in range(4096):
            try:
                data, extra, _, _ = self.rtp.recvmsg(2048, ANCILLARY)
            except OSError:
                return
            if len(data) >= 12:
                self._arrived(data, extra, measuring)

    def _arrived(self, data: bytes, extra: list[tuple[int, int, bytes]], measuring: bool) -> None:
        at, address = 0, b""
        for _, kind, value in extra:
            if kind == SO_TIMESTAMPNS:
                seconds, nanos = TIME.unpack_from(value)
                at = seconds * 1_000_000_000 + nanos
            elif kind == IP_PKTINFO:
                address = value[8:12]
            elif kind == SO_RXQ_OVFL:
                self.overflow = struct.unpack("@I", value[:4])[0]
        caller = self.by_address.get(address)
        if caller is None:
            return
        _, _, seq, _, ssrc = HEAD.unpack_from(data)
        if ssrc == caller.stream and caller.last is not None and measuring:
            step = (seq - caller.last[0]) & 0xFFFF
            caller.heard += 1
            if step == 1:
                caller.gaps.append(abs((at - caller.last[1]) / 1e6 - 20.0))
                caller.jumps += at - caller.last[1] > 40_000_000
            elif step < 0x8000:
                caller.lost += step - 1
        caller.stream, caller.last = ssrc, (seq, at)

    # ---- figures

    def _figures(self) -> dict[str, object]:
        gaps = sorted(gap for caller in self.callers for gap in caller.gaps)
        setups = sorted(caller.setup * 1000 for caller in self.callers if caller.up_at)
        failed = [caller for caller in self.callers if caller.state == "failed" or not caller.up_at]
        deaf = [caller for caller in self.callers if caller.up_at and not caller.heard]
        return {
            "calls": len(self.callers),
            "answered": len(setups),
            "failed": len(failed),
            "why": sorted({caller.why or caller.state for caller in failed}),
            "unheard": len(deaf),
            "ended_by_server": sum(caller.why == "theirs" for caller in self.callers),
            "packets": sum(caller.heard for caller in self.callers),
            "lost": sum(caller.lost for caller in self.callers),
            "jitter_ms": {name: share(gaps, part) for name, part in PARTS.items()},
            "gaps_over_40_ms": sum(caller.jumps for caller in self.callers),
            "setup_ms": {name: share(setups, part) for name, part in PARTS.items() if name != "p999"},
            "keys_sent": self.keys_sent,
            "generator": {
                "dropped": self.overflow,
                "late_p99_ms": share(sorted(lag * 1000 for lag in self.lags), 0.99),
            },
        }


ALONE = 1.0  # seconds it measures itself before ringing
PARTS = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}


def share(values: list[float], part: float) -> float | None:
    """The value below which `part` of the sorted `values` lie."""
    return round(values[min(len(values) - 1, math.ceil(part * len(values)) - 1)], 3) if values else None


def _media_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for kind in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, kind, 8 << 20)
            break
        except OSError:  # only root may go over rmem_max
            continue
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    sock.setblocking(False)
    sock.bind(("0.0.0.0", 0))  # all of 127.1.x.y
    return sock


def _voice(draw: random.Random) -> list[bytes]:
    """Two seconds of loud noise, so that a recording goes on."""
    return [draw.randbytes(FRAME) for _ in range(100)]


def bare(options: argparse.Namespace, seconds: float) -> dict[str, object]:
    """The same program sending to its own socket: what it would measure of a perfect line."""
    crowd = Callers(("127.0.0.1", 9), options)
    now = time.monotonic()
    for caller in crowd.callers:
        caller.state, caller.up_at, caller.media = "up", now, (caller.address, crowd.port)
        crowd.by_address[socket.inet_aton(caller.address)] = caller
    due = start = now
    while now < start + seconds:
        crowd.lags.append(now - due)
        for caller in crowd.callers:
            crowd._speak(caller)
        due = max(due + TICK, now - TICK)
        crowd._hear_until(due, start, start + seconds)
        now = time.monotonic()
    figures = crowd._figures()
    crowd.close()
    return figures


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Ring a SIP line many times at once and measure what it sends.")
    parser.add_argument("server", help="host:port or sip:host:port of the line")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0, help="measured, after all calls are up")
    parser.add_argument("--rate", type=float, default=40.0, help="new calls a second")
    parser.add_argument("--settle", type=float, default=2.0, help="seconds between the last INVITE and the measuring")
    parser.add_argument("--number", default="1888", help="what is dialled")
    parser.add_argument("--keys", default="", help="pressed one after the other, each after --pause seconds")
    parser.add_argument("--pause", type=float, default=3.0)
    parser.add_argument("--every", type=int, default=1, help="only each so-many-th caller presses --keys; others *")
    parser.add_argument("--hold", type=float, default=0.0, help="each call lasts so long; 0: all until the end")
    parser.add_argument("--seed", type=int, default=time.time_ns(), help="dialogs and voices; another one each run")
    parser.add_argument("--bare", action="store_true", help="measure this program alone")
    options = parser.parse_args(arguments)
    host, _, port = options.server.removeprefix("sip:").rpartition("@")[2].partition(":")
    alone = bare(options, options.seconds if options.bare else min(ALONE, options.seconds))
    figures = alone if options.bare else Callers((host, int(port or 5060)), options).run()
    figures["bare_p99_ms"] = alone["jitter_ms"]["p99"]  # type: ignore[index]
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
