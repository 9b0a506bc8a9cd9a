import Anthropic from '@anthropic-ai/sdk';
const client = new Anthropic({ apiKey: 'placeholder', baseURL: process.argv[2], maxRetries: 0 });
console.log(JSON.stringify(await client.models.retrieve('m')));
