import os

from hubspot import HubSpot
from hubspot.crm.contacts import PublicObjectSearchRequest, SimplePublicObjectInputForCreate

client = HubSpot(access_token=os.environ["HUBSPOT_ACCESS_TOKEN"])
print([contact.properties["email"] for contact in client.crm.contacts.get_all()])
ada = SimplePublicObjectInputForCreate(properties={"email": "ada@example.com", "firstname": "Ada"})
print(client.crm.contacts.basic_api.create(simple_public_object_input_for_create=ada).id)
query = PublicObjectSearchRequest(query="ada", limit=5)
print(client.crm.contacts.search_api.do_search(public_object_search_request=query).total)
with open("price-list.txt", "w") as file:
    file.write("a price\n" * 3000)
print(client.files.files_api.upload(file="price-list.txt", folder_path="/lists", options='{"access": "PRIVATE"}').id)
