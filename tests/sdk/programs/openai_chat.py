import io

from openai import OpenAI

client = OpenAI()
print([model.id for model in client.models.list()])
file = client.files.create(file=("rows.jsonl", io.BytesIO(b'{"row": 1}\n' * 5000)), purpose="fine-tune")
print(file.id, file.bytes)
question = [{"role": "user", "content": "Say hello"}]
print(client.chat.completions.create(model="gpt-4o-mini", messages=question).choices[0].message.content)
pieces = client.chat.completions.create(model="gpt-4o-mini", messages=question, stream=True)
print("".join(piece.choices[0].delta.content or "" for piece in pieces))
raw = client.models.with_raw_response.list()
print(dict(raw.headers))
