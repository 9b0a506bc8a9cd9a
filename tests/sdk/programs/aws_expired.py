import boto3
from botocore.exceptions import ClientError

session = boto3.Session(region_name="eu-west-1")
print(session.client("sts").get_caller_identity()["Arn"])
for call in (session.client("dynamodb").list_tables, session.client("s3").list_buckets, session.client("sts").get_caller_identity):
    try:
        call()
    except ClientError as error:
        print(error.response["ResponseMetadata"]["HTTPStatusCode"], error)
