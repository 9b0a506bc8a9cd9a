import { S3Client, GetObjectCommand } from '@aws-sdk/client-s3';
const credentials = { accessKeyId: 'AKIAPLACEHOLDER', secretAccessKey: 'placeholder' };
const client = new S3Client({ region: 'us-east-1', endpoint: process.argv[2], credentials, forcePathStyle: true, maxAttempts: 1 });
const answer = await client.send(new GetObjectCommand({ Bucket: 'bucket', Key: 'key' }));
console.log(await answer.Body.transformToString());
