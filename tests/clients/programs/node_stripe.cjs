const { hostname: host, port } = new URL(process.argv[2]);
const stripe = require('stripe')(process.env.CLIENTS_API_KEY, { host, port: port || 443, maxNetworkRetries: 0 });
stripe.balance.retrieve().then((answer) => console.log(JSON.stringify(answer)));
