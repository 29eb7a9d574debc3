"""How the pages are reached: from this machine, and by the phones in the room."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import quote

from vjengine.web.settings import WebSettings

_EVERYWHERE = ("0.0.0.0", "::", "")


def base_url(settings: WebSettings, port: int = 0) -> str:
    """Return where the pages are, without a slash at the end; empty if there are none.

    Args:
        settings: ``public_url`` if there is one, else the address listened on; where that is every address of this
            machine, the one that the local network knows.
        port: taken instead of the settings' (which may say 0, any).
    """
    if settings.public_url:
        return settings.public_url.rstrip("/")
    if settings.pages is None:
        return ""
    host = settings.pages[0]
    return f"http://{_bracketed(network_address() if host in _EVERYWHERE else host)}:{port or settings.pages[1]}"


def qr_url(settings: WebSettings, port: int = 0) -> str:
    """Return what the QR code says: the crowd's page, with the token if one is asked for; empty if there is none."""
    base = base_url(settings, port) if settings.crowd else ""
    if not base:
        return ""
    return f"{base}/?t={quote(settings.crowd_token, safe='')}" if settings.crowd_token else f"{base}/"


def stage_url(settings: WebSettings, port: int = 0) -> str:
    """Return the performer's page with the secret that opens it; for the performer's eyes only. Empty if none."""
    base = base_url(settings, port) if settings.stage_secret else ""
    return f"{base}/stage?k={quote(settings.stage_secret, safe='')}" if base else ""


def network_address() -> str:
    """Return the address of this machine that the local network reaches; 127.0.0.1 without a network."""
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        # Nothing is sent: connecting a datagram socket only asks which way a packet would go (RFC 5737's addresses).
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect((elsewhere, 9))
                found = str(asking.getsockname()[0])
            except OSError:
                continue
        if not ipaddress.ip_address(found.partition("%")[0]).is_unspecified:
            return found
    return "127.0.0.1"


def is_private(settings: WebSettings) -> bool:
    """Return True if only this machine reaches the pages."""
    if settings.pages is None:
        return True
    try:
        return ipaddress.ip_address(settings.pages[0]).is_loopback
    except ValueError:
        return settings.pages[0] == "localhost"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
