"""Says on the local network (mDNS, DNS-SD) where OSCQuery and OSC are, so that clients list us by name.

A machine without multicast, or without the library, is no fault: clients are then given the address by hand.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vjengine.web.address import network_address
from vjengine.web.settings import Address, WebSettings

log = logging.getLogger(__name__)

OSCQUERY, OSC = "_oscjson._tcp.local.", "_osc._udp.local."
FAREWELL = 1.5
"""Most s that taking it back may take."""


@asynccontextmanager
async def announced(settings: WebSettings, oscquery: Address) -> AsyncIterator[None]:
    """Announce OSCQuery at ``oscquery``, and OSC, while the block runs; take it back after. Never raises for it.

    Args:
        settings: ``name`` is what clients list, ``osc`` where OSC is listened for.
        oscquery: host and port that OSCQuery listens on.
    """
    announcing = asyncio.create_task(_announce(settings, oscquery))
    try:
        yield
    finally:
        # A second cancel would break the farewell off; a loop that ends has cancelled everything already.
        if not announcing.cancelling():
            announcing.cancel()
        await asyncio.gather(announcing, return_exceptions=True)


async def _announce(settings: WebSettings, oscquery: Address) -> None:
    """Announce until cancelled."""
    try:
        from zeroconf import Error, InterfaceChoice
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf
    except ImportError as error:
        log.warning("OSCQuery is not announced: %s (pip install zeroconf)", error)
        return
    address = _seen_as(oscquery[0])
    # Who listens on loopback only is announced on loopback only.
    interfaces = [address] if ipaddress.ip_address(address).is_loopback else InterfaceChoice.All
    label = re.sub(r"[^\w -]", "-", settings.name)[:40].strip() or "vjengine"
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname().partition(".")[0])[:40] or "vjengine"

    def service(kind: str, port: int) -> AsyncServiceInfo:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
        return AsyncServiceInfo(
            kind, f"{label}.{kind}", port, addresses=[packed], properties={"txtvers": "1"}, server=f"{host}.local."
        )

    services = [service(OSCQUERY, oscquery[1])]
    if settings.osc is not None:
        services.append(service(OSC, settings.osc[1]))
    zeroconf: AsyncZeroconf | None = None
    try:
        try:
            zeroconf = AsyncZeroconf(interfaces=interfaces)
            for one in services:
                # Awaited twice: the first is the probing, the second the saying.
                await (await zeroconf.async_register_service(one, allow_name_change=True))
        except (OSError, Error, RuntimeError) as error:
            log.warning("OSCQuery is not announced on the network: %s", error)
            return
        await asyncio.Event().wait()
    finally:
        if zeroconf is not None:
            try:
                async with asyncio.timeout(FAREWELL):
                    await zeroconf.async_unregister_all_services()
                    await zeroconf.async_close()
            except (OSError, Error, TimeoutError, RuntimeError) as error:
                log.info("the announcement could not be taken back: %s", error)


def _seen_as(host: str) -> str:
    """Return the IP address that others reach ``host`` by."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "127.0.0.1" if host == "localhost" else network_address()
    return network_address() if address.is_unspecified else str(address)
