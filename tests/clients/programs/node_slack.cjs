const { WebClient } = require('@slack/web-api');
const client = new WebClient('xoxb-placeholder', { slackApiUrl: process.argv[2] + '/', retryConfig: { retries: 0 } });
const show = (answer) => console.log(JSON.stringify(answer));
client.auth.test().then(show, (error) => show(error.data)); // an echo says nothing of "ok"
