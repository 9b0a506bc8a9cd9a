// ws makes its own sockets: the program gives it an agent, as its documentation says.
const WebSocket = require('ws');
const { HttpsProxyAgent } = require('https-proxy-agent');
const headers = { authorization: `Bearer ${process.env.CLIENTS_API_KEY}` };
const socket = new WebSocket(process.argv[2], { agent: new HttpsProxyAgent(process.env.HTTPS_PROXY), headers });
socket.on('open', () => socket.send('proxied'));
socket.on('message', (data) => { console.log(String(data)); socket.close(); });
