"""Outside: HTTP connections that a webhook's name cannot lead into our own network (SSRF, DNS rebinding)."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib3 import PoolManager


class WrongAddress(Exception):
    """The name in an address leads somewhere that it must not; the text says what to do."""


def refusal(host: str, peer: str, private: bool) -> str:
    """Why a connection for `host` to the address `peer` is not used; "" where it may be.

    Never: link-local addresses (cloud metadata), multicast and such. Only with `private`: addresses inside
    that a name leads to. One that is written as an address, or as localhost, is meant.
    """
    address = _plain(ip_address(peer))
    if address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved:
        return f"{host} is at {peer}, where no receiver can be; check url"
    if address.is_global or private or _is_written_out(host):
        return ""
    return f"{host} leads to {peer}, inside this network; if that is meant, set private_network = true"


def guarded_pool(private: bool) -> "PoolManager":
    """A pool of one connection that looks at the peer's address before anything is sent to it."""
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

    def checked(connection: Any, connected: socket.socket) -> socket.socket:
        why = refusal(connection.host, connected.getpeername()[0].partition("%")[0], private)
        if why:
            connected.close()
            raise WrongAddress(why)
        return connected

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return checked(self, super()._new_conn())

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return checked(self, super()._new_conn())

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    pool = urllib3.PoolManager(num_pools=1, maxsize=1, retries=False)
    pool.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return pool


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address in IPv6 clothes is an IPv4 address."""
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _is_written_out(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
