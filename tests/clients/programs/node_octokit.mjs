import { Octokit } from '@octokit/core';
const octokit = new Octokit({ auth: 'ghp_placeholder', baseUrl: process.argv[2] });
console.log(JSON.stringify((await octokit.request('GET /user')).data));
