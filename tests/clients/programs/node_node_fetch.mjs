import fetch from 'node-fetch';
const answer = await fetch(process.argv[2]);
console.log(await answer.text());
process.exitCode = answer.ok ? 0 : 1;
