// A program with a proxy agent of its own must not be proxied twice.
const { HttpsProxyAgent } = require('https-proxy-agent');
const agent = new HttpsProxyAgent(process.env.HTTPS_PROXY);
require('https').get(process.argv[2], { agent }, (answer) => answer.pipe(process.stdout));
