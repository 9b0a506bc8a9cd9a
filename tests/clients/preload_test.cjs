'use strict';
// Run as `node --require config/env/preload.cjs preload_test.cjs KEY CERT`: every way of asking must reach a proxy made here,
// which is the only one that knows where service.test is. Prints the names of the cases; fails with the first that is wrong.
const assert = require('assert');
const fs = require('fs');
const http = require('http');
const https = require('https');
const net = require('net');
const { urlToHttpOptions } = require('url');
const { Worker } = require('worker_threads');

const [key, cert] = process.argv.slice(2, 4).map((path) => fs.readFileSync(path));
const seen = []; // what the proxy was asked for
const answer = async (request, response) => {
  const { length } = await text(request);
  response.end([request.method, request.url, request.headers['x-own'], length].filter(Boolean).join(' '));
};

const service = { plain: http.createServer(answer), secure: https.createServer({ key, cert }, answer) };
const proxy = http.createServer((request, response) => {
  seen.push([request.method, request.url, request.headers['proxy-authorization']]);
  const { pathname } = new URL(request.url);
  request.url = pathname;
  answer(request, response);
});
proxy.on('connect', (request, socket, head) => {
  seen.push(['CONNECT', request.url, request.headers['proxy-authorization']]);
  if (request.url.startsWith('refused.test')) return socket.end('HTTP/1.1 403 Refused\r\nContent-Length: 0\r\n\r\n');
  const inner = net.connect((request.url.endsWith(':443') ? service.secure : service.plain).address().port, '127.0.0.1');
  socket.write('HTTP/1.1 200 OK\r\n\r\n');
  inner.write(head);
  socket.on('error', () => inner.destroy());
  inner.on('error', () => socket.destroy());
  return socket.pipe(inner).pipe(socket);
});

const listen = (server) => new Promise((done) => { server.listen(0, '127.0.0.1', done); });
const text = (stream) => new Promise((done, fail) => {
  let body = '';
  stream.setEncoding('utf8').on('data', (part) => { body += part; }).on('end', () => done(body)).on('error', fail);
});
const ask = (library, url, options, body) => new Promise((done, fail) => {
  const seek = typeof url === 'string' ? { ...options, ...urlToHttpOptions(new URL(url)) } : url;
  library.request(seek, (response) => done(text(response))).on('error', fail).end(body);
});
const LOGIN = 'Basic ' + Buffer.from('agent:t-k~1').toString('base64');

const cases = {
  async 'https goes through a tunnel, with the credentials of the proxy'() {
    assert.strictEqual(await ask(https, 'https://service.test/a'), 'GET /a');
    assert.deepStrictEqual(seen, [['CONNECT', 'service.test:443', LOGIN]]);
  },
  async 'an agent of the program is used, and its connection kept'() {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    assert.strictEqual(await ask(https, 'https://service.test/1', { agent }), 'GET /1');
    assert.strictEqual(await ask(https, 'https://service.test/2', { agent, method: 'POST' }, 'x'), 'POST /2 1');
    assert.strictEqual(seen.length, 1);
    agent.destroy();
  },
  async 'an agent that wants its socket at once gets one'() {
    class Eager extends https.Agent {
      createConnection(options, done) {
        const socket = super.createConnection(options, done);
        assert.ok(socket.encrypted);
        return socket;
      }
    }
    const big = 'x'.repeat(1 << 20);
    assert.strictEqual(await ask(https, 'https://service.test/e', { agent: new Eager(), method: 'PUT' }, big), 'PUT /e 1048576');
    assert.strictEqual(seen.length, 1);
  },
  async 'plain http goes in absolute form'() {
    assert.strictEqual(await ask(http, 'http://service.test/p?q=1', { headers: { 'x-own': 'kept' } }), 'GET /p kept');
    assert.strictEqual(await ask(http, 'http://service.test:8080/p'), 'GET /p');
    const headers = ['Host', 'service.test', 'X-Own', 'array'];
    assert.strictEqual(await ask(http, 'http://service.test/p', { headers }), 'GET /p array');
    assert.deepStrictEqual(seen.map(([, url, login]) => [url, login]), [
      ['http://service.test/p?q=1', LOGIN], ['http://service.test:8080/p', LOGIN], ['http://service.test/p', LOGIN]]);
  },
  async 'fetch goes through a tunnel'() {
    assert.strictEqual(await (await fetch('https://service.test/f')).text(), 'GET /f');
    assert.strictEqual(await (await fetch('http://service.test/g')).text(), 'GET /g');
    assert.deepStrictEqual(seen.map(([, url]) => url), ['service.test:443', 'service.test:80']);
  },
  async 'a worker does the same'() {
    const worker = new Worker('fetch("https://service.test/w").then((a) => a.text()).then((t) => postMessage(t))'.replace(
      'postMessage', 'require("worker_threads").parentPort.postMessage'), { eval: true });
    assert.strictEqual(await new Promise((done, fail) => worker.on('message', done).on('error', fail)), 'GET /w');
    assert.strictEqual(seen.length, 1);
  },
  async 'what NO_PROXY lists goes direct'() {
    const { port } = service.plain.address();
    for (const list of ['127.0.0.1', '*', 'x.test, 127.0.0.0/8', `127.0.0.1:${port}`]) {
      process.env.NO_PROXY = list;
      assert.strictEqual(await ask(http, `http://127.0.0.1:${port}/d`, { agent: false }), 'GET /d');
      assert.strictEqual(await (await fetch(`http://127.0.0.1:${port}/d`)).text(), 'GET /d');
    }
    for (const list of ['.test', 'service.test', '*.test', 'test']) {
      process.env.NO_PROXY = list;
      await assert.rejects(ask(https, 'https://service.test/', { agent: new https.Agent() }), { code: /ENOTFOUND|EAI_AGAIN/ });
    }
    assert.deepStrictEqual(seen, []);
    process.env.NO_PROXY = 'ervice.test,service.test:8443,127.0.0.2';
    assert.strictEqual(await ask(https, 'https://service.test/p', { agent: new https.Agent() }), 'GET /p');
  },
  async 'a request to the proxy itself is not proxied again'() {
    const options = { host: '127.0.0.1', port: proxy.address().port, path: 'http://service.test/own' };
    assert.strictEqual(await ask(http, options), 'GET /own');
    assert.deepStrictEqual(seen, [['GET', 'http://service.test/own', undefined]]);
  },
  async 'a refused tunnel is an error that says so'() {
    await assert.rejects(ask(https, 'https://refused.test/'), { code: 'ERR_PROXY_TUNNEL', statusCode: 403 });
    await assert.rejects(fetch('https://refused.test/'), (error) => error.cause.code === 'ERR_PROXY_TUNNEL');
  },
  async 'without variables nothing changes'() {
    const { port } = service.plain.address();
    process.env.HTTP_PROXY = process.env.HTTPS_PROXY = '';
    assert.strictEqual(await ask(http, `http://127.0.0.1:${port}/n`), 'GET /n');
    assert.deepStrictEqual(seen, []);
  },
};

(async () => {
  for (const name of Object.keys(process.env)) if (/_proxy$/i.test(name)) delete process.env[name];
  await Promise.all([listen(service.plain), listen(service.secure), listen(proxy)]);
  const url = `http://agent:t-k~1@127.0.0.1:${proxy.address().port}`;
  for (const [name, run] of Object.entries(cases)) {
    Object.assign(process.env, { HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY: '' });
    seen.length = 0;
    await run();
    console.log('ok', name);
  }
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
