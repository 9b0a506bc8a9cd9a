import { Worker } from 'node:worker_threads';
const inside = `fetch(${JSON.stringify(process.argv[2])}).then((answer) => answer.text()).then(console.log)`;
new Worker(inside, { eval: true });
