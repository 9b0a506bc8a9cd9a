import { WebClient } from '@slack/web-api';

const client = new WebClient(process.env.SLACK_BOT_TOKEN);
console.log((await client.auth.test()).user);
const names = [];
for await (const page of client.paginate('conversations.list', { limit: 1 })) names.push(...page.channels.map((channel) => channel.name));
console.log(names);
const message = await client.chat.postMessage({ channel: 'C0GENERAL', text: 'Deployed', blocks: [{ type: 'divider' }] });
console.log(message.ts);
const uploaded = await client.filesUploadV2({ channel_id: 'C0GENERAL', filename: 'log.txt', content: 'a line of the log\n'.repeat(3000) });
console.log(uploaded.files[0].files[0].id);
