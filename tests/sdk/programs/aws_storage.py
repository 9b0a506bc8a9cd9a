import hashlib
import io
import random

import boto3
import requests
from botocore.config import Config

s3 = boto3.client("s3", region_name="eu-west-1")
s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

big = random.Random(7).randbytes(100 << 20)
s3.upload_fileobj(io.BytesIO(big), "photos", "big.bin")
back = io.BytesIO()
s3.download_fileobj("photos", "big.bin", back)
print(len(back.getvalue()), hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(big).digest())

name = "notes on ü+&%.txt"
s3.put_object(Bucket="photos", Key=name, Body=b"a line of a note", ContentType="text/plain", Metadata={"who": "ada  lovelace"})
found = s3.get_object(Bucket="photos", Key=name)
print(name, found["ContentLength"], found["Metadata"], found["Body"].read())

# Without being told, it presigns with version 2, which AWS takes for buckets of before 2020 only.
presigner = boto3.client("s3", region_name="eu-west-1", config=Config(signature_version="s3v4"))
url = presigner.generate_presigned_url("get_object", Params={"Bucket": "photos", "Key": name}, ExpiresIn=300)
read = requests.get(url)
url = presigner.generate_presigned_url("put_object", Params={"Bucket": "photos", "Key": "by requests/a b"}, ExpiresIn=300)
written = requests.put(url, data=b"by requests")
body = s3.get_object(Bucket="photos", Key="by requests/a b")["Body"].read()
print(read.status_code, read.content, written.status_code, body)

pages = s3.get_paginator("list_objects_v2").paginate(Bucket="photos", PaginationConfig={"PageSize": 2})
keys = [thing["Key"] for page in pages for thing in page["Contents"]]
print(keys)
s3.delete_objects(Bucket="photos", Delete={"Objects": [{"Key": key} for key in keys[:2]]})
s3.delete_object(Bucket="photos", Key=keys[2])
s3.delete_bucket(Bucket="photos")
print(s3.list_buckets()["Buckets"])
