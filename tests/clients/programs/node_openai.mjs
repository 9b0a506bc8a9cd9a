import OpenAI from 'openai';
const client = new OpenAI({ apiKey: process.env.CLIENTS_API_KEY, baseURL: process.argv[2], maxRetries: 0 });
console.log(JSON.stringify(await client.models.retrieve('m')));
