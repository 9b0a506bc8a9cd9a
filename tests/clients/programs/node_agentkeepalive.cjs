const { HttpsAgent } = require('agentkeepalive');
const agent = new HttpsAgent();
require('https').get(process.argv[2], { agent }, (answer) => {
  answer.pipe(process.stdout);
  answer.on('end', () => agent.destroy());
});
