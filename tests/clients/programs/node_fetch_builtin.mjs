const [, , url] = process.argv;
const headers = url.startsWith('https:') ? { authorization: `Bearer ${process.env.CLIENTS_API_KEY}` } : {};
const answer = await fetch(url, { headers });
console.log(await answer.text());
process.exitCode = answer.ok ? 0 : 1;
