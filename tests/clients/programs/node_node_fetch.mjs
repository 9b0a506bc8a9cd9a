import fetch from 'node-fetch';
const headers = { authorization: `Bearer ${process.env.CLIENTS_API_KEY}` };
const answer = await fetch(process.argv[2], { headers });
console.log(await answer.text());
process.exitCode = answer.ok ? 0 : 1;
