import OpenAI, { toFile } from 'openai';

const client = new OpenAI();
const models = await client.models.list();
console.log(models.data.map((model) => model.id));
const file = await client.files.create({ file: await toFile(Buffer.from('{"row": 1}\n'.repeat(5000)), 'rows.jsonl'), purpose: 'fine-tune' });
console.log(file.id, file.bytes);
const messages = [{ role: 'user', content: 'Say hello' }];
const answer = await client.chat.completions.create({ model: 'gpt-4o-mini', messages });
console.log(answer.choices[0].message.content);
let said = '';
for await (const piece of await client.chat.completions.create({ model: 'gpt-4o-mini', messages, stream: true })) {
  said += piece.choices[0].delta.content ?? '';
}
console.log(said);
