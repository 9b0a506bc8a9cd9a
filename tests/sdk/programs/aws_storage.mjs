import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

const s3 = new S3Client({ region: 'eu-west-1' });
await s3.send(new CreateBucketCommand({ Bucket: 'photos' }));
await s3.send(new PutObjectCommand({ Bucket: 'photos', Key: 'a name/with ü+&.txt', Body: 'a line of a note\n'.repeat(1000) }));
const found = await s3.send(new GetObjectCommand({ Bucket: 'photos', Key: 'a name/with ü+&.txt' }));
console.log((await found.Body.transformToString()).length);
console.log((await s3.send(new ListObjectsV2Command({ Bucket: 'photos' }))).Contents.map(({ Key }) => Key));
