import os

from twilio.rest import Client

client = Client("AC0123456789abcdef0123456789abcdef", os.environ["TWILIO_AUTH_TOKEN"])
print([message.body for message in client.messages.list(limit=2)])
message = client.messages.create(to="+15558675310", from_="+15017122661", body="The bridge is up")
print(message.sid)
check = client.verify.v2.services("VA0123456789abcdef0123456789abcdef").verifications.create(to="+15558675310", channel="sms")
print(check.status)
