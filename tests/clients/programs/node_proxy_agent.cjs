// A program with a proxy agent of its own must not be proxied twice.
const { HttpsProxyAgent } = require('https-proxy-agent');
const agent = new HttpsProxyAgent(process.env.HTTPS_PROXY);
const headers = { authorization: `Bearer ${process.env.CLIENTS_API_KEY}` };
require('https').get(process.argv[2], { agent, headers }, (answer) => {
  answer.pipe(process.stdout);
  process.exitCode = answer.statusCode === 200 ? 0 : 1;
});
