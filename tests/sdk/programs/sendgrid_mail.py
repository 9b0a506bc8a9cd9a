import base64
import json

from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Attachment, Disposition, FileContent, FileName, FileType, Mail

client = SendGridAPIClient()
print([template["name"] for template in json.loads(client.client.templates.get(query_params={"generations": "dynamic"}).body)["templates"]])
mail = Mail("ada@example.com", "grace@example.com", "The invoice", "<p>See within.</p>")
content = base64.b64encode(b"%PDF-1.4 an invoice" * 2000).decode()
mail.attachment = Attachment(FileContent(content), FileName("invoice.pdf"), FileType("application/pdf"), Disposition("attachment"))
answer = client.send(mail)
print(answer.status_code, answer.headers["X-Message-Id"])
