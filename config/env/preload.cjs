'use strict';
// Loaded by NODE_OPTIONS=--require before a program starts. Node 20 reads no proxy variable, and newer Nodes leave out
// every library that makes its own https.Agent. This sends all of them through the proxy that HTTPS_PROXY and HTTP_PROXY
// name, except for what NO_PROXY lists. It does nothing where no variable is set, says nothing, and leaves alone whatever
// already has a proxy of its own: other agent classes, other dispatchers, Node's own NODE_USE_ENV_PROXY.
// Syntax and modules are those of Node 12, so that it can't stop an older one from starting.
const http = require('http');
const https = require('https');
const net = require('net');
const tls = require('tls');
const Module = require('module');
const { Duplex } = require('stream');

const TUNNEL_DEADLINE = 60000;
const FORWARD = Symbol('nexus.forward');
const DISPATCHER = Symbol.for('undici.globalDispatcher.1');

/** Whether `host` is in a NO_PROXY list: `*`, a name (with its subdomains), `.suffix`, `*.suffix`, an address, a CIDR; any with a port. */
function bypassed(host, port, list) {
  return String(list || '').toLowerCase().split(/[\s,]+/).filter(Boolean).some((entry) => {
    if (entry === '*') return true;
    const parts = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(entry);
    if (parts && Number(parts[2]) !== port) return false;
    const name = (parts ? parts[1] : entry).replace(/^\[|\]$/g, '');
    if (name.includes('/')) return inSubnet(host, name);
    const bare = name.replace(/^\*?\./, '');
    return host === name || host === bare || host.endsWith('.' + bare);
  });
}

function inSubnet(host, cidr) {
  const family = net.isIP(host);
  if (!family || !net.BlockList) return false;
  try {
    const [network, bits] = cidr.split('/');
    const subnet = new net.BlockList();
    subnet.addSubnet(network, Number(bits), net.isIP(network) === 6 ? 'ipv6' : 'ipv4');
    return subnet.check(host, family === 6 ? 'ipv6' : 'ipv4');
  } catch (_) {
    return false;
  }
}

/** The proxy for a target, or nothing where it is to be reached directly. Read on every call: programs do change the variables. */
function proxyFor(secure, name, port) {
  const env = process.env;
  const own = secure ? env.https_proxy || env.HTTPS_PROXY : env.http_proxy || env.HTTP_PROXY;
  const text = own || env.all_proxy || env.ALL_PROXY;
  if (!text || !name) return undefined;
  const host = bare(name);
  if (bypassed(host, port, env.no_proxy || env.NO_PROXY)) return undefined;
  let proxy;
  try {
    proxy = new URL(text.includes('://') ? text : 'http://' + text);
  } catch (_) {
    return undefined;
  }
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:') return undefined;
  // A request that goes to the proxy already was made by a library with a proxy of its own.
  return host === bare(proxy.hostname) && port === portOf(proxy) ? undefined : proxy;
}

const bare = (host) => String(host).toLowerCase().replace(/^\[|\]$/g, '').replace(/\.$/, '');
const portOf = (url) => Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
const authority = (host, port) => (net.isIPv6(host) ? '[' + host + ']' : host) + ':' + port;

function dial(proxy) {
  const host = bare(proxy.hostname);
  const to = { host, port: portOf(proxy) };
  if (proxy.protocol === 'http:') return net.connect(to);
  return tls.connect(Object.assign(to, { servername: net.isIP(host) ? '' : host, ALPNProtocols: ['http/1.1'] }));
}

function credentials(proxy) {
  if (!proxy.username && !proxy.password) return undefined;
  const pair = decodeURIComponent(proxy.username) + ':' + decodeURIComponent(proxy.password);
  return 'Basic ' + Buffer.from(pair).toString('base64');
}

/** Opens a tunnel (RFC 9110 section 9.3.6) and hands over its socket. */
function tunnel(proxy, host, port, done) {
  const target = authority(host, port);
  const headers = { host: target };
  const login = credentials(proxy);
  if (login) headers['proxy-authorization'] = login;
  const request = http.request({ method: 'CONNECT', path: target, headers, createConnection: () => dial(proxy) });
  const fail = (error) => { request.destroy(); done(error); };
  request.setTimeout(TUNNEL_DEADLINE, () => fail(new Error('the proxy did not answer CONNECT ' + target)));
  request.once('error', fail);
  request.once('connect', (response, socket, head) => {
    request.removeListener('error', fail);
    socket.setTimeout(0);
    if (response.statusCode !== 200) {
      socket.destroy();
      const text = 'the proxy answered ' + response.statusCode + ' ' + response.statusMessage + ' to CONNECT ' + target;
      return done(Object.assign(new Error(text), { code: 'ERR_PROXY_TUNNEL', statusCode: response.statusCode }));
    }
    if (head.length) socket.unshift(head);
    return done(null, socket);
  });
  request.end();
}

/** A tunnel that can be handed out before it is open, for agents that want their socket at once (agentkeepalive). */
class LateTunnel extends Duplex {
  constructor(proxy, host, port) {
    super();
    this.waiting = undefined;
    tunnel(proxy, host, port, (error, socket) => {
      if (error || this.destroyed) {
        if (socket) socket.destroy();
        return this.destroy(error);
      }
      this.socket = socket;
      socket.on('data', (chunk) => { if (!this.push(chunk)) socket.pause(); });
      socket.on('end', () => this.push(null)).on('error', (failure) => this.destroy(failure)).on('close', () => this.destroy());
      if (this.waiting) this.waiting();
      return undefined;
    });
  }

  _read() { if (this.socket) this.socket.resume(); }

  _write(chunk, encoding, done) { this.whenOpen(() => this.socket.write(chunk, encoding, done)); }

  _final(done) { this.whenOpen(() => this.socket.end(done)); }

  _destroy(error, done) {
    if (this.socket) this.socket.destroy();
    done(error);
  }

  whenOpen(act) { if (this.socket) act(); else this.waiting = act; }
}

/** Makes an Agent class open its connections through the proxy; classes that override createConnection keep their own way. */
function patchAgent(prototype, secure) {
  const direct = prototype.createConnection;
  const patched = prototype.createConnection = function createConnection(options, done) {
    const ours = options && typeof options === 'object' && typeof done === 'function' && !options.socketPath && !options.socket;
    const proxy = ours && !proxied(this) && proxyFor(secure, options.host, Number(options.port));
    if (!proxy) return direct.apply(this, arguments);
    if (options[FORWARD]) return dial(proxy);
    if (secure && this.createConnection !== patched) {
      const socket = new LateTunnel(proxy, options.host, options.port);
      return direct.call(this, Object.assign({}, options, { socket }));
    }
    tunnel(proxy, options.host, options.port, (error, socket) => {
      if (error) return done(error);
      return done(null, secure ? direct.call(this, Object.assign({}, options, { socket })) : socket);
    });
    return undefined;
  };
}

/** Node's own proxy support is on for this agent. */
const proxied = (agent) => Boolean(agent && agent.options && agent.options.proxyEnv);

/** Plain http goes to the proxy in absolute form (RFC 9112 section 3.2.2), if the agent is one whose connections we make. */
function patchForward(prototype) {
  const { addRequest, createConnection, createSocket } = prototype;
  prototype.addRequest = function (request, options) {
    const plain = this.createConnection === createConnection && this.createSocket === createSocket && !proxied(this);
    const ours = plain && options && typeof options === 'object' && !options.socketPath && String(request.path)[0] === '/';
    const proxy = ours && proxyFor(false, options.host, Number(options.port));
    if (!proxy) return addRequest.apply(this, arguments);
    forward(request, authority(options.host, options.port).replace(/:80$/, ''), credentials(proxy));
    return addRequest.call(this, request, Object.assign({}, options, { [FORWARD]: true }));
  };
}

function forward(request, host, login) {
  const path = request.path;
  request.path = 'http://' + host + path;
  if (request._header) {
    // The head was rendered already, as happens with headers given as an array or with Expect.
    const line = (login ? 'Proxy-Authorization: ' + login + '\r\n' : '');
    request._header = request._header.replace(' ' + path + ' HTTP/1.1\r\n', () => ' ' + request.path + ' HTTP/1.1\r\n' + line);
  } else if (login) {
    request.setHeader('proxy-authorization', login);
  }
}

/** undici's connect function: what fetch uses to reach a host. */
function connect(options, done) {
  const secure = options.protocol === 'https:';
  const host = bare(options.hostname);
  const port = Number(options.port) || (secure ? 443 : 80);
  const finish = (socket, event) => {
    const fail = (error) => done(error, null);
    socket.once('error', fail);
    socket.once(event, () => { socket.removeListener('error', fail); done(null, socket); });
  };
  const protect = (over) => finish(tls.connect(Object.assign({
    servername: options.servername || (net.isIP(host) ? '' : host), ALPNProtocols: ['http/1.1'],
  }, over)), 'secureConnect');
  const proxy = proxyFor(secure, host, port);
  if (!proxy) return secure ? protect({ host, port }) : finish(net.connect({ host, port }).setNoDelay(true), 'connect');
  return tunnel(proxy, host, port, (error, socket) => {
    if (error) return done(error, null);
    return secure ? protect({ socket, host }) : done(null, socket);
  });
}

const ours = new WeakSet();

/** Replaces a plain undici Agent; a program's ProxyAgent, MockAgent or EnvHttpProxyAgent stays. */
function swapDispatcher(current, set) {
  if (!current || ours.has(current) || !current.constructor || current.constructor.name !== 'Agent') return;
  const next = new current.constructor({ connect });
  ours.add(next);
  set(next);
}

/** fetch loads undici when it is first used, so the swap waits for that: loading it here would cost every start of Node. */
function patchFetch() {
  const native = globalThis.fetch;
  if (typeof native !== 'function') return;
  const wrapper = function fetch(input, init) {
    try {
      void globalThis.Headers;
      swapDispatcher(globalThis[DISPATCHER], (next) => { globalThis[DISPATCHER] = next; });
      if (globalThis.fetch === wrapper) globalThis.fetch = native;
    } catch (_) { /* an undici unlike those we know: fetch works as without us */ }
    return native.call(globalThis, input, init);
  };
  globalThis.fetch = wrapper;
}

/** The undici package has dispatchers of its own. */
function patchUndici() {
  const load = Module._load;
  if (typeof load !== 'function') return;
  Module._load = function (name) {
    const loaded = load.apply(this, arguments);
    if (name === 'undici' || /[\\/]undici[\\/]index(-fetch)?\.js$/.test(name)) {
      try {
        if (loaded.getGlobalDispatcher) swapDispatcher(loaded.getGlobalDispatcher(), loaded.setGlobalDispatcher);
      } catch (_) { /* as above */ }
    }
    return loaded;
  };
}

try {
  patchAgent(https.Agent.prototype, true);
  patchAgent(http.Agent.prototype, false);
  patchForward(http.Agent.prototype);
  patchFetch();
  patchUndici();
} catch (_) { /* a program without a proxy is better than one that doesn't start */ }
