//! `[oauth2]`: where a provider's tokens come from, and its habits there.

/// RFC 6749 endpoints and habits of one provider.
#[derive(Debug)]
pub struct OAuth2 {
    /// RFC 6749 §3.1.
    pub authorize_url: Option<String>,
    /// RFC 6749 §3.2; https only, with a `{field}` for what differs by connection.
    pub token_url: String,
    /// Where refreshes go if not to `token_url`.
    pub refresh_url: Option<String>,
    /// RFC 8628 §3.1.
    pub device_url: Option<String>,
    /// RFC 7009 §2; at the host of `token_url`.
    pub revocation_url: Option<String>,
    /// The authorization server's identifier (RFC 8414 §2), where answers are held against it.
    pub issuer: Option<String>,
    /// Default scopes.
    pub scopes: Vec<String>,
    /// `" "` (RFC 6749 §3.3) or `","`.
    pub scope_separator: String,
    /// How the client authenticates at the token endpoint (RFC 6749 §2.3.1).
    pub client_authentication: ClientAuthentication,
    /// Life of an access token where the reply has no `expires_in`.
    pub default_lifetime: Option<std::time::Duration>,
    /// Parameters that the authorization request needs besides the standard ones: `access_type` = `offline`.
    pub authorize_params: Vec<(String, String)>,
    /// Whether a renewal may give a new refresh token and spend the old one (RFC 6749 §6, RFC 9700 §4.14.2).
    pub rotates: bool,
    /// How the token request is written.
    pub token_body: TokenBody,
    /// Whether an authorization request carries a code challenge (RFC 7636 §4.3): always, but to services that refuse one.
    pub pkce: bool,
}

impl OAuth2 {
    /// Where renewals go.
    pub fn renewal_url(&self) -> &str {
        self.refresh_url.as_deref().unwrap_or(&self.token_url)
    }

    /// Whether a person is asked by a server of the connection's own: each address has a `{field}`.
    pub fn asks_own_server(&self) -> bool {
        let pages = [self.authorize_url.as_deref(), self.device_url.as_deref()];
        pages.into_iter().flatten().chain([self.token_url.as_str()]).all(|url| url.contains('{'))
    }

    /// The standard's habits at `token_url`: space between scopes, the client authenticated in the form.
    pub fn new(token_url: &str) -> Self {
        Self {
            authorize_url: None,
            token_url: token_url.to_owned(),
            refresh_url: None,
            device_url: None,
            revocation_url: None,
            issuer: None,
            scopes: Vec::new(),
            scope_separator: " ".to_owned(),
            client_authentication: ClientAuthentication::Post,
            default_lifetime: None,
            authorize_params: Vec::new(),
            rotates: false,
            token_body: TokenBody::Form,
            pkce: true,
        }
    }
}

/// `token_body = "form" | "json"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenBody {
    /// `application/x-www-form-urlencoded`, as RFC 6749 §4.1.3 has it.
    Form,
    /// A JSON object with the same members, as Notion wants it.
    Json,
}

/// RFC 6749 §2.3.1 and RFC 7591 §2 `token_endpoint_auth_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// HTTP Basic with form-encoded id and secret.
    Basic,
    /// `client_id` and `client_secret` in the form.
    Post,
    /// A public client: `client_id` only.
    None,
    /// A signed assertion (RFC 7523 §2.2); for grants only.
    PrivateKeyJwt,
}

impl ClientAuthentication {
    /// Its word in a provider file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::None => "none",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}
