import OpenAI from 'openai';
const client = new OpenAI({ apiKey: 'placeholder', baseURL: process.argv[2], maxRetries: 0 });
console.log(JSON.stringify(await client.models.retrieve('m')));
