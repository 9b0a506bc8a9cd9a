import { Octokit } from '@octokit/core';
const octokit = new Octokit({ auth: process.env.CLIENTS_API_KEY, baseUrl: process.argv[2] });
console.log(JSON.stringify((await octokit.request('GET /user')).data));
