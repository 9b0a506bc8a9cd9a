import { LinearClient } from '@linear/sdk';

const linear = new LinearClient({ apiKey: process.env.LINEAR_API_KEY });
console.log((await linear.viewer).name);
const issues = await linear.issues({ first: 2 });
console.log(issues.nodes.map((issue) => issue.title));
const created = await linear.createIssue({ teamId: '9cfb482a-81e3-4154-b5b9-2c805e70a02d', title: 'It leaks' });
console.log(created.success, created.lastSyncId);
