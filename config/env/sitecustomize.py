"""Found by PYTHONPATH, run before a Python program starts. Three libraries, and what is built on them, take no proxy or no CA from
the environment; once a program imports one, it is made to. It does nothing where no proxy variable is set, says nothing, and leaves
alone whatever has a proxy of its own. A `sitecustomize` that stands behind it is run as well.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def trust_our_root(ssl):
    """Roots that a library brings along (stripe does) would replace those of the environment: ours is added to them."""
    load = ssl.SSLContext.load_verify_locations

    def load_verify_locations(self, cafile=None, capath=None, cadata=None):
        load(self, cafile, capath, cadata)
        root = os.environ.get("DENO_CERT")
        # A server that checks its callers' certificates is no matter of ours.
        if root and self.protocol != ssl.PROTOCOL_TLS_SERVER:
            try:
                load(self, root)
            except OSError:
                pass

    ssl.SSLContext.load_verify_locations = load_verify_locations


def proxy_of(url):
    """The proxy that the environment names for `url`, or nothing."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies_environment, proxy_bypass_environment

    parts, proxies = urlsplit(url), getproxies_environment()
    if proxy_bypass_environment(parts.netloc.rpartition("@")[2], proxies):
        return None
    return proxies.get(parts.scheme)


def proxy_bare_pools(poolmanager):
    """urllib3 leaves proxies to its users, and the clients that OpenAPI Generator makes (hubspot's) forget them."""
    bare, straight = poolmanager.PoolManager, poolmanager.PoolManager.urlopen

    def urlopen(self, method, url, *args, **options):
        proxy = proxy_of(url) if type(self) is bare else None
        if not proxy:
            return straight(self, method, url, *args, **options)
        ways = self.__dict__.setdefault("_nexus_ways", {})
        if proxy not in ways:
            ways[proxy] = proxied(poolmanager, self, proxy)
        return ways[proxy].urlopen(method, url, *args, **options)

    bare.urlopen = urlopen


def proxied(poolmanager, pools, proxy):
    """What `pools` is, by way of `proxy`."""
    from urllib.parse import unquote, urlsplit

    parts, headers = urlsplit(proxy), {}
    if parts.username:
        headers["proxy-authorization"] = basic(unquote(parts.username), unquote(parts.password or ""))
    return poolmanager.ProxyManager(proxy, headers=pools.headers, proxy_headers=headers, **pools.connection_pool_kw)


def tunnel_without_pysocks(httplib2):
    """httplib2, below Google's API client, forgets proxies where PySocks is not installed."""
    if httplib2.socks is not None:
        return
    import socket

    class Tunnel(socket.socket):
        """A stream through CONNECT, with as much of PySocks as httplib2 calls."""

        def setproxy(self, kind, host, port, rdns=True, user=None, password=None, *_):
            self.proxy, self.login = (kind, host, port), (user, password)

        def connect(self, address):
            kind, host, port = self.proxy
            if kind != Socks.PROXY_TYPE_HTTP:
                raise OSError("a SOCKS proxy needs PySocks: pip install PySocks")
            super().connect((host, port))
            authority = "{}:{}".format("[%s]" % address[0] if ":" in address[0] else address[0], address[1])
            lines = ["CONNECT {} HTTP/1.1".format(authority), "Host: {}".format(authority)]
            if self.login[0]:
                lines.append("Proxy-Authorization: " + basic(self.login[0], self.login[1] or ""))
            self.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
            head = b""
            while not head.endswith(b"\r\n\r\n") and len(head) < 65536:
                byte = self.recv(1)
                if not byte:
                    raise OSError("the proxy closed the stream")
                head += byte
            status = head.split(b"\r\n")[0].decode("latin-1")
            if status.split(" ")[1:2] != ["200"]:
                raise OSError("the proxy refused: " + status)

    class Socks:
        PROXY_TYPE_SOCKS4, PROXY_TYPE_SOCKS5, PROXY_TYPE_HTTP = 1, 2, 3
        socksocket = Tunnel

    httplib2.socks = Socks


def basic(user, password):
    import base64

    return "Basic " + base64.b64encode("{}:{}".format(user, password).encode()).decode()


class Watcher:
    """Stands first among the finders, and mends a module of `MENDED` right after its own code has run."""

    MENDED = {"ssl": trust_our_root, "urllib3.poolmanager": proxy_bare_pools, "httplib2": tunnel_without_pysocks}

    def find_spec(self, name, path=None, target=None):
        mend = self.MENDED.get(name)
        if mend is None:
            return None
        finders = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        spec = next((spec for spec in (finder.find_spec(name, path, target) for finder in finders) if spec), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = Mended(spec.loader, mend)
        return spec


class Mended:
    """A loader whose module is mended once it is there."""

    def __init__(self, loader, mend):
        self.loader, self.mend = loader, mend

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        quietly(self.mend, module)


def quietly(mend, module):
    try:
        mend(module)
    except Exception:  # a version that is made otherwise works as it would without us
        pass


def run_the_next():
    """The `sitecustomize` of the system, which ours stands before."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    elsewhere = [folder for folder in sys.path if os.path.abspath(folder or ".") != HERE]
    spec = PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        sys.modules["sitecustomize"] = module = module_from_spec(spec)
        spec.loader.exec_module(module)


if sys.version_info >= (3, 6):
    if os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY"):
        for known in Watcher.MENDED:
            if known in sys.modules:
                quietly(Watcher.MENDED[known], sys.modules[known])
        sys.meta_path.insert(0, Watcher())
    run_the_next()
