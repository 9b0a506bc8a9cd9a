import boto3
import requests


def said(call):
    try:
        call()
    except Exception as error:
        headers = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPHeaders", {})
        print(type(error).__name__, error, headers.get("nexus-refusal"))


elsewhere = boto3.Session(region_name="us-east-1")
said(elsewhere.client("sts", endpoint_url="https://sts.eu-west-1.amazonaws.com").get_caller_identity)
said(elsewhere.client("dynamodb", endpoint_url="https://dynamodb.eu-west-1.amazonaws.com").list_tables)
said(elsewhere.client("s3", endpoint_url="https://s3.eu-west-1.amazonaws.com").list_buckets)
# What is signed for one service, sent to another.
said(elsewhere.client("sts", region_name="eu-west-1", endpoint_url="https://dynamodb.eu-west-1.amazonaws.com").get_caller_identity)
# A signature in the query beside the one in the header.
sts = boto3.client("sts", region_name="eu-west-1")
url = sts.generate_presigned_url("get_caller_identity")
sts.meta.events.register("before-send.sts", lambda request, **_: setattr(request, "url", url))
said(sts.get_caller_identity)
# Version 2, which boto3 presigns with unless it is told otherwise.
print(requests.get(boto3.client("s3", region_name="eu-west-1").generate_presigned_url("list_objects", {"Bucket": "photos"})).text)
