import io
import os

import stripe

client = stripe.StripeClient(os.environ["STRIPE_API_KEY"])
print([customer.email for customer in client.v1.customers.list({"limit": 2}).auto_paging_iter()])
customer = client.v1.customers.create({"email": "ada@example.com", "metadata": {"plan": "pro"}})
print(customer.id, customer.email)
evidence = io.BytesIO(b"%PDF-1.4 a receipt" * 2000)
evidence.name = "receipt.pdf"
print(client.v1.files.create({"purpose": "dispute_evidence", "file": evidence}).id)
