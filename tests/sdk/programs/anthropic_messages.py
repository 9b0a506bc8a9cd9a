from anthropic import Anthropic

client = Anthropic()
print([model.id for model in client.models.list()])
file = client.beta.files.upload(file=("notes.txt", b"A line of notes.\n" * 3000, "text/plain"))
print(file.id, file.size_bytes)
question = [{"role": "user", "content": "Say hello"}]
answer = client.messages.create(model="claude-sonnet-4-5", max_tokens=64, messages=question)
print(answer.content[0].text)
with client.messages.stream(model="claude-sonnet-4-5", max_tokens=64, messages=question) as stream:
    print("".join(stream.text_stream))
