import { Client } from '@notionhq/client';

const notion = new Client({ auth: process.env.NOTION_TOKEN });
const users = await notion.users.list({});
console.log(users.results.map((user) => user.name));
const found = await notion.search({ query: 'Roadmap' });
console.log(found.results.map((page) => page.id));
const page = await notion.pages.create({
  parent: { page_id: 'f1407bf3b3404d6f8ac1ea0dd9d3e4a1' },
  properties: { title: { title: [{ text: { content: 'Roadmap' } }] } },
});
console.log(page.url);
const upload = await notion.fileUploads.create({ mode: 'single_part', filename: 'plan.txt', content_type: 'text/plain' });
const data = new Blob(['a plan\n'.repeat(5000)], { type: 'text/plain' });
const sent = await notion.fileUploads.send({ file_upload_id: upload.id, file: { filename: 'plan.txt', data } });
console.log(sent.status);
