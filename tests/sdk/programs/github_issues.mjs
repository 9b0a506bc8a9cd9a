import { Octokit } from '@octokit/rest';

const octokit = new Octokit({ auth: process.env.GITHUB_TOKEN });
const user = await octokit.users.getAuthenticated();
console.log(user.data.login, user.headers);
const [owner, repo] = ['octo', 'hello'];
const issues = await octokit.paginate(octokit.issues.listForRepo, { owner, repo, state: 'open' });
console.log(issues.map((issue) => issue.title));
const issue = await octokit.issues.create({ owner, repo, title: 'It leaks', body: 'Water, not secrets.', labels: ['bug'] });
console.log(issue.data.number);
const release = await octokit.repos.getReleaseByTag({ owner, repo, tag: 'v1.0.0' });
const asset = await octokit.repos.uploadReleaseAsset({
  url: release.data.upload_url, owner, repo, release_id: release.data.id, name: 'hello.bin', data: Buffer.alloc(63000, 'binary'),
});
console.log(asset.data.state);
