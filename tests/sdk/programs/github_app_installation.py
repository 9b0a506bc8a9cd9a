from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from github import Auth, GithubIntegration

# An App's key of no worth: its token is asked for with an assertion that this signs.
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
integration = GithubIntegration(auth=Auth.AppAuth(12345, pem))
token = integration.get_access_token(42)
print("token of", token.token[:4], token.permissions, token.expires_at.tzinfo)
print(integration.get_github_for_installation(42).get_repo("octo/hello").full_name)
