const https = require('https');
https.get(process.argv[2], { agent: new https.Agent({ keepAlive: false }) }, (answer) => {
  answer.pipe(process.stdout);
  process.exitCode = answer.statusCode === 200 ? 0 : 1;
});
