const { WebClient } = require('@slack/web-api');
const client = new WebClient(process.env.CLIENTS_API_KEY, { slackApiUrl: process.argv[2] + '/', retryConfig: { retries: 0 } });
client.auth.test().then((answer) => console.log(JSON.stringify(answer)));
