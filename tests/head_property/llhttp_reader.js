// Reads requests with llhttp, as Node.js has it, and tells what it read, one JSON object a line.
//
// A line of input is a message in hexadecimal, a space, and what follows it on the connection.

'use strict';

process.removeAllListeners('warning');
const { HTTPParser, methods } = require('_http_common');
const readline = require('readline');

function read(message) {
  const answer = { headers: [], body: '' };
  let complete = false;
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {}, 1 << 20, HTTPParser.kLenientNone);
  parser[HTTPParser.kOnHeaders | 0] = (headers, url) => {
    answer.flushed = (answer.flushed || []).concat(headers);
    answer.url = (answer.url || '') + url;
  };
  parser[HTTPParser.kOnHeadersComplete | 0] = (major, minor, headers, method, url) => {
    const flat = (answer.flushed || []).concat(headers || []);
    for (let at = 0; at < flat.length; at += 2) answer.headers.push([flat[at].toLowerCase(), flat[at + 1]]);
    answer.method = methods[method];
    answer.target = url === undefined ? answer.url : url;
    answer.version = `HTTP/${major}.${minor}`;
    delete answer.flushed;
    delete answer.url;
    return 0;
  };
  parser[HTTPParser.kOnBody | 0] = (data) => { answer.body += data.toString('hex'); };
  parser[HTTPParser.kOnMessageComplete | 0] = () => { complete = true; };
  const feed = (bytes) => {
    const result = parser.execute(bytes);
    if (result instanceof Error) throw result;
  };
  // Complete with its last byte and not before: the end is where we see it.
  feed(message.subarray(0, -1));
  if (complete) return { error: 'complete too early' };
  feed(message.subarray(-1));
  if (!complete) return { error: 'not complete' };
  delete answer.flushed;
  delete answer.url;
  answer.end = message.length;
  return answer;
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  let answer;
  try {
    answer = read(Buffer.from(line.split(' ')[0], 'hex'));
  } catch (error) {
    answer = { error: `${error.code}: ${error.reason || error.message}` };
  }
  console.log(JSON.stringify(answer));
});
