import { Worker } from 'node:worker_threads';
const asked = JSON.stringify({ headers: { authorization: `Bearer ${process.env.CLIENTS_API_KEY}` } });
const inside = `fetch(${JSON.stringify(process.argv[2])}, ${asked}).then((answer) => answer.text()).then(console.log)`;
new Worker(inside, { eval: true });
