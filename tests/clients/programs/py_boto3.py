import sys, boto3
from botocore.config import Config
config = Config(retries={"max_attempts": 0}, connect_timeout=20, read_timeout=20, s3={"addressing_style": "path"})
s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="AKIAPLACEHOLDER",
                  aws_secret_access_key="placeholder", config=config)
print(s3.get_object(Bucket="bucket", Key="key")["Body"].read().decode())
