import boto3
from boto3.dynamodb.conditions import Key

session = boto3.Session(region_name="eu-west-1")
print(session.client("sts").get_caller_identity()["Arn"])
table = session.resource("dynamodb").create_table(
    TableName="notes",
    KeySchema=[{"AttributeName": "who", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
    AttributeDefinitions=[{"AttributeName": "who", "AttributeType": "S"}, {"AttributeName": "at", "AttributeType": "N"}],
    BillingMode="PAY_PER_REQUEST",
)
print(table.table_status)
table.put_item(Item={"who": "ada", "at": 1, "text": "It rains"})
table.put_item(Item={"who": "ada", "at": 2, "text": "It pours"})
print(table.get_item(Key={"who": "ada", "at": 2})["Item"])
print([item["text"] for item in table.query(KeyConditionExpression=Key("who").eq("ada"), ScanIndexForward=False)["Items"]])
