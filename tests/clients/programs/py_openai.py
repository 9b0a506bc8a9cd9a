import os, sys, openai
client = openai.OpenAI(api_key=os.environ["CLIENTS_API_KEY"], base_url=sys.argv[1], max_retries=0, timeout=20)
print(client.models.with_raw_response.retrieve("m").http_response.text)
